# A declared absence outranks what was detected.
# file: assess/eval.go
# test: ./assess TestWorkedCases
s/h\.Known \&\& h\.Int > 0/h.Known \&\& h.Int < 0/
