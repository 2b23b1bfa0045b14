# HIPAA readiness does not stop capture.
# file: assess/frameworks/predicates.yaml
# test: ./assess TestTimeNeverReopensAGap
/name: p_capture$/,/value:/ s/not \("hipaa_ready" in arrangements or /not (false or /
