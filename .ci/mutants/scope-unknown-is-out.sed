# A framework whose scope is unknown is left out.
# file: assess/eval.go
# test: ./assess TestUndeclaredScopeApplies
s/s\.obligation\(o, applies != condition\.False\)/s.obligation(o, applies == condition.True)/
