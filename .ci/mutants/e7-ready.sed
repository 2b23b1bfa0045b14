# A rehearsal may read ready.
# file: assess/eval.go
# test: ./assess TestAFrameworkIsAFile
s/case notReady \|\| s\.sim:/case notReady:/
