# A listed session counts although nobody knows whether it has content.
# file: assess/evidence_figures.go
# test: ./assess TestEvidenceClaimsNothingItDoesNotShow
s/case !r\.sessions\.contentKnown:/case false:/
