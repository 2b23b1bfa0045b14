# A platform doubt hides what the customer left undone.
# file: assess/eval.go
# test: ./assess TestASettledDoubtNeverWorsens
s/worse\(stateUnknown, st\) != stateUnknown/false/
