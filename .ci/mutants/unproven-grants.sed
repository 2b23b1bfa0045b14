# An unproven condition holds.
# file: assess/eval.go
# test: ./assess TestWorkedCases
s/return t \/\/ two sources disagree.*/return condition.True/
