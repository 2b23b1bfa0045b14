module github.com/sandtable-dev/sandtable/.ci/oscal

go 1.25.0

require (
	github.com/sandtable-dev/sandtable v0.0.0
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.2
)

require (
	github.com/expr-lang/expr v1.17.8 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/text v0.14.0 // indirect
)

replace github.com/sandtable-dev/sandtable => ../..
