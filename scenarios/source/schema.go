package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"sort"
	"strings"
)

// Schema is the JSON Schema (draft 7, which editors of YAML read) of the files
// that Decode accepts for v, a struct: the same keys, enumerations and shapes,
// by the same tags. Descriptions are the comments on the types and fields in
// declarations, Go source by file name; a field without one has that of its type.
//
// A file that has the root key partial may leave out any key that is required
// of a whole one, as it is laid over another; items of lists are whole anyway.
func Schema(v any, title, partial string, declarations map[string][]byte) ([]byte, error) {
	g := schemaGen{defs: map[string]any{}, types: map[string]reflect.Type{}}
	if err := g.read(declarations); err != nil {
		return nil, err
	}
	root := g.object(reflect.TypeOf(v), false)
	if g.err != nil {
		return nil, g.err
	}
	root["$schema"], root["title"] = "http://json-schema.org/draft-07/schema#", title
	root["if"] = map[string]any{"not": map[string]any{"required": []string{partial}}}
	root["then"] = g.whole(reflect.TypeOf(v))
	root["definitions"] = g.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil { // maps are written in key order
		return nil, err
	}
	return b.Bytes(), nil
}

type schemaGen struct {
	defs  map[string]any
	types map[string]reflect.Type // by definition, so that two types of one name are noticed
	docs  map[string]string       // "Type" and "Type.Field"
	err   error
}

// read collects the comments on types and on their fields, above or behind.
func (g *schemaGen) read(files map[string][]byte) error {
	g.docs = map[string]string{}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		f, err := parser.ParseFile(token.NewFileSet(), n, files[n], parser.ParseComments)
		if err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		for _, d := range f.Decls {
			gd, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range gd.Specs {
				ts, ok := s.(*ast.TypeSpec)
				if !ok {
					continue
				}
				doc := ts.Doc
				if doc == nil {
					doc = gd.Doc
				}
				g.docs[ts.Name.Name] = prose(doc)
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, fl := range st.Fields.List {
					doc := fl.Doc
					if doc == nil {
						doc = fl.Comment
					}
					for _, id := range fl.Names {
						g.docs[ts.Name.Name+"."+id.Name] = prose(doc)
					}
				}
			}
		}
	}
	return nil
}

// prose is a comment as one line of text.
func prose(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// object is the schema of a struct. whole asks for the required keys: of what
// stands in a list, because nothing is laid under it.
func (g *schemaGen) object(t reflect.Type, whole bool) map[string]any {
	props := map[string]any{}
	o := map[string]any{"type": "object", "additionalProperties": false, "properties": props}
	fs := fieldsOf(t)
	var required []string
	for _, name := range fs.names {
		fl := fs.byName[name]
		owner, sf := declared(t, fl.index)
		s := g.value(sf.Type, fl.enum, whole)
		doc := g.docs[owner.Name()+"."+sf.Name]
		if doc == "" {
			doc = g.docs[below(sf.Type).Name()]
		}
		if fl.advice != "" {
			doc = strings.TrimSpace(doc + " " + strings.ToUpper(fl.advice[:1]) + fl.advice[1:] + ".")
		}
		if doc != "" {
			if s["$ref"] != nil { // beside a $ref nothing else counts in this draft
				s = map[string]any{"allOf": []any{s}}
			}
			s["description"] = doc
		}
		props[name] = s
		if fl.required {
			required = append(required, name)
		}
	}
	if whole && len(required) > 0 {
		o["required"] = required
	}
	if d := g.docs[t.Name()]; d != "" {
		o["description"] = d
	}
	return o
}

// declared is the field at index with the struct that declares it.
func declared(t reflect.Type, index []int) (reflect.Type, reflect.StructField) {
	for len(index) > 1 {
		t, index = t.Field(index[0]).Type, index[1:]
	}
	return t, t.Field(index[0])
}

// whole demands the required keys of t and of the mappings below it, without
// their shapes, which stand elsewhere.
func (g *schemaGen) whole(t reflect.Type) map[string]any {
	out, props := map[string]any{}, map[string]any{}
	var required []string
	fs := fieldsOf(t)
	for _, name := range fs.names {
		fl := fs.byName[name]
		if fl.required {
			required = append(required, name)
		}
		_, sf := declared(t, fl.index)
		ft := sf.Type
		for ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && !special(ft) {
			if below := g.whole(ft); len(below) > 0 {
				props[name] = below
			}
		}
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if len(props) > 0 {
		out["properties"] = props
	}
	return out
}

// below is the type that a list, map or pointer holds.
func below(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

func special(t reflect.Type) bool { return t == textType || t == dateType || t == moneyType }

func (g *schemaGen) value(t reflect.Type, enum string, whole bool) map[string]any {
	text := func() map[string]any {
		if enum == "" {
			return map[string]any{"type": []string{"string", "number", "boolean"}}
		}
		all := []any{}
		for _, e := range strings.Split(enum, "|") {
			all = append(all, e)
			switch e { // read as a truth value by editors
			case "true":
				all = append(all, true)
			case "false":
				all = append(all, false)
			}
		}
		return map[string]any{"enum": all}
	}
	switch t {
	case textType:
		return text()
	case dateType:
		return map[string]any{"type": "string", "format": "date", "pattern": `^\d{4}-\d{2}-\d{2}$`}
	case moneyType:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "number", "minimum": 0},
			map[string]any{"type": "string", "pattern": `^\$?\d[\d_]*(\.[\d_]{0,6})?$`},
		}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct && !special(t.Elem()) {
			return g.value(t.Elem(), enum, whole)
		}
		return orNothing(g.value(t.Elem(), enum, whole))
	case reflect.Struct:
		return orNothing(g.ref(t, whole))
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": g.value(t.Elem(), enum, true)}
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": g.value(t.Elem(), enum, whole)}
	case reflect.String:
		return text()
	case reflect.Bool:
		return map[string]any{"enum": []any{true, false, "yes", "no", "on", "off"}}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": []string{"integer", "string"}, "pattern": `^[+-]?\d[\d_]*$`}
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": []string{"integer", "string"}, "minimum": 0, "pattern": `^\d[\d_]*$`}
	case reflect.Float64:
		return map[string]any{"type": []string{"number", "string"}, "pattern": `^[+-]?[\d.]`}
	case reflect.Interface:
		return map[string]any{}
	}
	g.err = fmt.Errorf("schema: no schema for %s", t)
	return map[string]any{}
}

// orNothing lets a key stand with nothing behind it, as Decode does.
func orNothing(s map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
}

func (g *schemaGen) ref(t reflect.Type, whole bool) map[string]any {
	whole = whole || len(g.whole(t)) == 0 // the same either way
	name := t.Name()
	if !whole {
		name += ".laid-over"
	}
	if old, ok := g.types[name]; !ok {
		g.types[name] = t
		g.defs[name] = map[string]any{} // ends a type that holds itself
		g.defs[name] = g.object(t, whole)
	} else if old != t {
		g.err = fmt.Errorf("schema: two types are called %s", t.Name())
	}
	return map[string]any{"$ref": "#/definitions/" + name}
}
