# Facts used come in the order of a map.
# file: assess/eval.go
# test: ./assess TestSameInputsSameBytes
/sort\.Slice\(keys/d
s/^\t"sort"$//
