# A perfect stream makes the transcript complete.
# file: assess/frameworks/predicates.yaml
# test: ./assess TestWorkedCases
/name: record_kept/,/value:/ s/value: .*/value: 'recon_ratio >= 0.98'/
