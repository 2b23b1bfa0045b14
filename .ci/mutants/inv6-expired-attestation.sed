# An expired attestation still counts.
# file: assess/eval.go
# test: ./assess TestUnknownIsNeverSupport
s/ \&\& !m\.expires\(a\)\.Before\(day\)//
