# Groups and roles exist on every plan.
# file: assess/frameworks/predicates.yaml
# test: ./assess TestTeamIsCapped
/name: p_rbac/,/value:/ s/value: .*/value: 'true'/
