# Team has the admin feed.
# file: assess/frameworks/predicates.yaml
# test: ./assess TestTeamIsCapped
/name: p_admin_feed/,/value:/ s/plan == "enterprise" and //
