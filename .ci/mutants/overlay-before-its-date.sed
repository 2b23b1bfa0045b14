# A customer's statement decides before it was made.
# file: scenarios/platform/lookup.go
# test: ./assess TestTheCustomersStatementDecides
s/\&\& !o\.Date\.After\(q\.AsOf\)/\&\& true/
