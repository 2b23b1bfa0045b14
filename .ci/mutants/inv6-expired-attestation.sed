# An expired attestation still counts.
# file: assess/eval.go
# test: ./assess TestUnknownIsNeverSupport
s/ \&\& !s\.expires\(a\)\.Before\(s\.asOf\)//
