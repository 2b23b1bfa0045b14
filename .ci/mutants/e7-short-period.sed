# A fortnight shows operation.
# file: assess/model.go
# test: ./assess TestRehearsalProvesNoOperation
s/vocab\.Classes, vocab\.Operating$/vocab.Classes, vocab.Operating\/2/
