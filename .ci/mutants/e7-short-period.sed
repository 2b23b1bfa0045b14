# A fortnight shows operation.
# file: assess/eval.go
# test: ./assess TestRehearsalProvesNoOperation
s/const minOperatingDays = 28/const minOperatingDays = 14/
