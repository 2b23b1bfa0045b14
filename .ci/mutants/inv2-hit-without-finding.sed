# A violation cites no finding.
# file: assess/assess.go
# test: ./assess TestMoreEvidenceNeverWorsens
s/er\.Findings = append\(er\.Findings, findings\[v\]\.\.\.\)/_ = v/
