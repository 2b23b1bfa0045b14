# A remedy promises.
# file: assess/frameworks/elements.yaml
# test: ./assess TestNoPromiseInAnyText
s/remedy: Require SSO.*/remedy: Require SSO and you are compliant./;s/remedy: (Deploy|Set|Route|Turn) (.*)/remedy: \1 \2 This guarantees it./
