# A person may state what only the stream can show.
# file: assess/evidence.go
# test: ./assess TestEvidenceProblems
s/case !known \|\| !slices\.Contains\(r\.Stated, x\.Variable\.Value\):/case !known:/
