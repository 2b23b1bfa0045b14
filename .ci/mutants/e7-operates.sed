# Simulated evidence shows operation.
# file: assess/eval.go
# test: ./assess TestRehearsalProvesNoOperation
s/if el\.Aspect == "O" \&\& s\.simulated/if false \&\& s.simulated/
