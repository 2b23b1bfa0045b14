# A person may state what only the stream can show.
# file: assess/evidence_statement.go
# test: ./assess TestEvidenceProblems
s/\|\| !slices\.Contains\(r\.Stated, x\.Variable\.Value\):/|| slices.Contains(r.Stated, ""):/
