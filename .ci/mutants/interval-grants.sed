# Inside a change interval the benefit holds.
# file: assess/eval.go
# test: ./assess TestWorkedCases
/case platform\.Verify:/,/case platform\.Conditional/ s/return condition\.False/return condition.True/
