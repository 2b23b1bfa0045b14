# A stated tenant test needs no session list.
# file: assess/evidence_figures.go
# test: ./assess TestEvidenceClaimsNothingItDoesNotShow
s/case !r\.sessions\.seen:/case false:/
s/Bool\(listed \&\& /Bool(!r.sessions.seen || listed \&\& /
