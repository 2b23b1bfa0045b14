package otlp

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sandtable-dev/sandtable/rules/event"
)

// What other tools export is the same record in other clothes: attributes as an
// object or a map of strings, nested or joined by dots or underscores, inside an
// envelope of the tool's own. A document is flattened to pairs of path and value,
// the envelope is taken off the paths, and the pairs go the way of attributes.

// Dialects are the names of the forms that DecodeFlat tells apart.
var Dialects = []string{"elasticsearch", "clickhouse", "loki", "splunk", "hec", "datadog", "honeycomb", "flat"}

const (
	maxPairs = 512
	maxDepth = 12
)

type pair struct {
	path string
	v    value
}

// DecodeFlat decodes JSON documents of other tools, one or several behind each
// other, and appends to into. Into.Dialect names the form. It fails when nothing
// is usable.
func DecodeFlat(line []byte, into *Batch) error {
	s := string(line)
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	p := scanner{s: strings.TrimPrefix(s, "\uFEFF"), text: &into.scratch}
	before := into.Records
	for p.err == "" && p.peek() != 0 {
		if !p.flatTop(into, 0) && p.err == "" {
			into.note("not a record of a known form")
		}
	}
	if p.err != "" {
		if into.Records == before {
			return fmt.Errorf("%w: %s at byte %d", ErrJSON, p.err, p.i)
		}
		into.note("cut or broken JSON: " + p.err)
	} else if into.Records == before {
		return fmt.Errorf("%w: no record of a known form", ErrJSON)
	}
	return nil
}

// flatTop reads one value at the top: a document, a list of such, or an envelope
// around a list. It reports whether there was a record, and consumes the value
// in any case.
func (p *scanner) flatTop(b *Batch, depth int) bool {
	if depth > 4 {
		p.skip()
		return false
	}
	switch p.peek() {
	case '[':
		any := false
		for first := p.open('['); p.next(&first, ']'); {
			any = p.flatTop(b, depth+1) || any
		}
		return any
	case '{':
	default:
		p.skip()
		return false
	}
	start := p.i
	inner := -1
	var name string
	for first := p.open('{'); p.next(&first, '}'); {
		switch k := p.key(); {
		case k == "hits" && p.peek() == '{', (k == "hits" || k == "events" || k == "results" || k == "data" || k == "rows") && p.peek() == '[',
			k == "data" && p.peek() == '{' && p.isLoki():
			inner, name = p.i, k
		}
		p.skip()
	}
	if p.err != "" {
		return false
	}
	if inner >= 0 {
		end := p.i
		p.i = inner
		var any bool
		if name == "data" && p.peek() == '{' {
			any = p.loki(b)
		} else {
			any = p.flatTop(b, depth+1)
		}
		p.i = end
		return any
	}
	end := p.i
	p.i = start
	var pairs []pair
	p.flatten("", 0, &pairs)
	p.i = end
	return b.file(pairs)
}

// isLoki looks into a data object for the result list of a Loki query.
func (p *scanner) isLoki() bool {
	at := p.i
	found := false
	for first := p.open('{'); p.next(&first, '}'); {
		k := p.key()
		found = found || k == "result" && p.peek() == '['
		p.skip()
	}
	p.i, p.err = at, ""
	return found
}

// loki reads the data object of a Loki query: streams with labels and lines.
func (p *scanner) loki(b *Batch) bool {
	any := false
	for first := p.open('{'); p.next(&first, '}'); {
		if p.key() != "result" || p.peek() != '[' {
			p.skip()
			continue
		}
		for first := p.open('['); p.next(&first, ']'); {
			if p.peek() != '{' {
				p.skip()
				continue
			}
			var labels []pair
			var later []int
			for first := p.open('{'); p.next(&first, '}'); {
				switch k := p.key(); {
				case k == "stream" && p.peek() == '{':
					p.flatten("stream", 1, &labels)
				case k == "values" && p.peek() == '[':
					later = append(later, p.i)
					p.skip()
				default:
					p.skip()
				}
			}
			p.revisit(later, func() {
				for first := p.open('['); p.next(&first, ']'); {
					if p.peek() != '[' {
						p.skip()
						continue
					}
					pairs := slices.Clone(labels)
					n := 0
					for first := p.open('['); p.next(&first, ']'); n++ {
						switch {
						case n == 0:
							pairs = append(pairs, pair{"timestamp", p.plain(0)})
						case n == 1:
							pairs = append(pairs, pair{"line", p.plain(0)})
						case p.peek() == '{':
							p.flatten("stream", 1, &pairs)
						default:
							p.skip()
						}
					}
					any = b.file(pairs) || any
				}
			})
		}
	}
	return any
}

// flatten appends the members of an object as pairs.
func (p *scanner) flatten(prefix string, depth int, to *[]pair) {
	for first := p.open('{'); p.next(&first, '}'); {
		k := p.key()
		if prefix != "" {
			k = prefix + "." + k
		}
		switch c := p.peek(); {
		case len(*to) >= maxPairs || c == '{' && depth >= maxDepth:
			p.skip()
		case c == '{':
			p.flatten(k, depth+1, to)
		default:
			*to = append(*to, pair{k, p.plain(0)})
		}
	}
}

// envelopes are the beginnings of paths that hold no fact of the record, longest
// first where one begins another.
var envelopes = []string{
	"_source.", "result.", "resource.attributes.", "resource_attributes.", "attributes.attributes.", "log.attributes.", "attributes.", "resource.",
	"LogAttributes.", "ResourceAttributes.", "data.", "fields.", "labels.", "stream.", "structuredMetadata.", "parsed.", "event.",
	"resource_attributes_", "resources_", "attributes_", "log_attributes_",
}

// spellings maps what backends make of dotted names: dots become underscores.
var spellings = func() map[string]string {
	m := map[string]string{}
	add := func(name string) {
		if u := strings.ReplaceAll(name, ".", "_"); u != name {
			m[u] = name
		}
	}
	for _, name := range keyNames {
		add(name)
	}
	for _, name := range []string{"app.version", "app.entrypoint", "wsl.version", "enduser.id", "ccr.session.id", "message.uuid", "plugin.version", "plugin.scope",
		"install.trigger", "marketplace.is_official", "skill.source", "skill.kind", "agent.source", "workflow.run_id", "workflow.name", "user.groups", "identity.source"} {
		add(name)
	}
	return m
}()

// nested names that look like an envelope and are none.
func isAttribute(path string) bool {
	return keyOf(path) != keyOther || spellings[path] != ""
}

// bareName takes envelopes off a path and brings the rest to the product's own
// spelling. enveloped says that there was one that holds attributes.
func bareName(path string) (name string, enveloped bool) {
	for again := true; again && !isAttribute(path); {
		again = false
		for _, e := range envelopes {
			if len(path) > len(e) && strings.HasPrefix(path, e) {
				path, again = path[len(e):], true
				enveloped = enveloped || e != "result." && e != "_source."
				break
			}
		}
	}
	if dotted, ok := spellings[path]; ok {
		path = dotted
	}
	return path, enveloped
}

// isDecisionSource knows the values that tell the decision's source from the field
// of the same name that a backend reserves.
func isDecisionSource(s string) bool {
	switch s {
	case "config", "hook", "user_temporary", "user_permanent", "user_reject", "user_abort", "allowlist":
		return true
	}
	return false
}

// file makes one record of pairs, and reports whether they were one: something
// must name the event.
func (b *Batch) file(pairs []pair) bool {
	var at, observed, body string
	var timeV, observedV value
	named := false
	for i := range pairs {
		x := &pairs[i]
		last := x.path[strings.LastIndexByte(x.path, '.')+1:]
		switch n, _ := bareName(x.path); {
		case n == "event.name":
			named = named || x.v.k == text && x.v.s != ""
		case n == "body" || n == "body.text" || n == "body.stringValue" || last == "Body" || n == "message" || n == "line" || n == "_raw" || x.path == "event":
			if s, ok := x.v.text(); ok && (body == "" || strings.HasPrefix(s, prefix)) {
				body = s
			}
		}
	}
	// A line that is a document of its own holds the record.
	if !named && strings.HasPrefix(body, "{") {
		q := scanner{s: body, text: &b.scratch}
		var more []pair
		q.flatten("attributes", 1, &more)
		if q.err == "" {
			pairs, body = append(pairs, more...), ""
			for i := range more {
				n, _ := bareName(more[i].path)
				named = named || n == "event.name"
			}
		}
	}
	if !named && !strings.HasPrefix(body, prefix) {
		return false
	}
	res := resource{}
	var r record
	r.start(b, &res)
	r.body = body
	dialect := "flat"
	for i := range pairs {
		if d := dialectOf(pairs[i].path); d != "" && (dialect == "flat" || d == "datadog") {
			dialect = d
		}
	}
	for i := range pairs {
		x := &pairs[i]
		n, enveloped := bareName(x.path)
		switch n {
		case "@timestamp", "Timestamp", "timestamp", "_time", "time", "timeUnixNano", "ts":
			if at == "" {
				timeV, at = x.v, "t"
			}
			continue
		case "observed_timestamp", "ObservedTimestamp", "observedTimeUnixNano":
			observedV, observed = x.v, "t"
			continue
		case "scope.name", "ScopeName", "otel.scope.name", "otel_scope_name", "scope_name", "instrumentation_scope_name", "instrumentation_scope.name":
			if s, ok := x.v.text(); ok && s != "" {
				r.ev.Scope = s
				r.ev.Has |= event.FScope
			}
			continue
		case "scope.version", "ScopeVersion", "otel.scope.version", "otel_scope_version", "scope_version", "instrumentation_scope_version", "instrumentation_scope.version":
			r.ev.ScopeVersion, _ = x.v.text()
			continue
		case "trace_id", "TraceId", "trace.id", "traceId":
			r.ev.Trace, _ = x.v.text()
			continue
		case "span_id", "SpanId", "span.id", "spanId":
			r.ev.Span, _ = x.v.text()
			continue
		case "service":
			if !enveloped || dialect == "datadog" {
				n = "service.name"
			}
		case "source":
			if s, _ := x.v.text(); !isDecisionSource(s) && (!enveloped || dialect == "splunk" || dialect == "datadog") {
				continue // the backend's own field
			}
		case "body", "body.text", "body.stringValue", "Body", "message", "line", "_raw":
			if s, ok := x.v.text(); ok && s == body {
				continue
			}
		}
		if (!enveloped || dialect == "datadog") && isEnvelope(x.path) || x.path == "event" || x.v.k == none {
			continue
		}
		if x.v.k == text && x.v.s == "" && keyOf(n) == keyOther {
			continue
		}
		r.attr(n, x.v)
	}
	if dialect != "flat" || b.Dialect == "" {
		b.Dialect = dialect
	}
	// The product's own time is finer than what backends keep; theirs counts where
	// the record has none.
	if at != "" && r.stamp == "" {
		if ns, ok := instantOf(&timeV); ok {
			r.time, r.timed = ns, true
		} else {
			r.lose("time is not understood")
		}
	}
	if observed != "" {
		if ns, ok := instantOf(&observedV); ok {
			r.observed, r.observedT = ns, true
		}
	}
	r.finish()
	return true
}

// dialectOf guesses the tool from a path.
func dialectOf(path string) string {
	switch {
	case strings.HasPrefix(path, "LogAttributes."), strings.HasPrefix(path, "ResourceAttributes."):
		return "clickhouse"
	case strings.HasPrefix(path, "stream."), strings.HasPrefix(path, "labels."):
		return "loki"
	case strings.HasPrefix(path, "result."), path == "_raw", path == "_time":
		return "splunk"
	case strings.HasPrefix(path, "fields."), path == "event", path == "sourcetype":
		return "hec"
	case strings.HasPrefix(path, "attributes.attributes."), path == "attributes.message", path == "attributes.service":
		return "datadog"
	case strings.HasPrefix(path, "data."):
		return "honeycomb"
	case strings.HasPrefix(path, "_source."), path == "@timestamp", strings.HasPrefix(path, "resource.attributes."):
		return "elasticsearch"
	}
	return ""
}

// isEnvelope lists the fields that tools add around a record.
func isEnvelope(path string) bool {
	switch strings.TrimPrefix(path, "result.") {
	case "_index", "_id", "_score", "_type", "_version", "_ignored", "sort", "preview", "offset", "lastrow", "_bkt", "_cd", "_si", "_serial", "_indextime", "_subsecond",
		"linecount", "punct", "splunk_server", "splunk_server_group", "sourcetype", "index", "host", "id", "type", "eventtype", "timestartpos", "timeendpos",
		"tag", "tags", "samplerate", "SeverityText", "SeverityNumber", "TraceFlags", "ServiceName", "ResourceSchemaUrl", "ScopeSchemaUrl", "EventName",
		"attributes.tags", "attributes.host", "attributes.status", "detected_level", "severity_text", "severity_number":
		return true
	}
	return strings.HasPrefix(path, "data_stream.") || strings.HasPrefix(path, "ecs.") || strings.HasPrefix(path, "agent.") && !isAttribute(path) || strings.HasPrefix(path, "date_")
}

var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999 MST",
	"2006-01-02T15:04:05.999999999-0700", "2006-01-02 15:04:05.999999999-07:00"}

// instantOf reads a time as tools write it: a text, or seconds, milliseconds,
// microseconds or nanoseconds since 1970 by their size. A text without a zone is
// UTC, as the databases that write such keep it.
func instantOf(v *value) (int64, bool) {
	switch v.k {
	case integer:
		return bySize(v.i)
	case double:
		if v.f > 0 && v.f < 1e11 { // seconds, with what a float64 holds of the rest
			sec := math.Floor(v.f)
			return int64(sec)*1e9 + int64(math.Round((v.f-sec)*1e6))*1000, true
		}
		if v.f > 0 && v.f < 1e19 {
			return bySize(int64(v.f))
		}
	case text:
		if v.s == "" {
			return 0, false
		}
		if i, err := strconv.ParseInt(v.s, 10, 64); err == nil {
			return bySize(i)
		}
		if sec, frac, ok := strings.Cut(v.s, "."); ok && len(frac) > 0 && len(frac) <= 9 {
			s, err := strconv.ParseInt(sec, 10, 64)
			f, ferr := strconv.ParseUint(frac, 10, 64)
			if err == nil && ferr == nil && s > 0 && s < 1e11 {
				for i := len(frac); i < 9; i++ {
					f *= 10
				}
				return s*1e9 + int64(f), true
			}
		}
		for _, l := range timeLayouts {
			if t, err := time.Parse(l, v.s); err == nil && t.Year() >= 1970 && t.Year() < 2262 {
				return t.UnixNano(), true
			}
		}
	}
	return 0, false
}

func bySize(i int64) (int64, bool) {
	switch {
	case i <= 0:
		return 0, false
	case i < 1e11:
		return i * 1e9, true
	case i < 1e14:
		return i * 1e6, true
	case i < 1e17:
		return i * 1e3, true
	}
	return i, true
}

// IsCSV reports that a header line holds the columns of an export.
func IsCSV(line string) bool {
	line = strings.TrimPrefix(line, "\uFEFF")
	if strings.HasPrefix(line, "{") || strings.HasPrefix(line, "[") || !strings.Contains(line, ",") {
		return false
	}
	for _, h := range strings.Split(line, ",") {
		switch h = strings.Trim(strings.TrimSpace(h), `"`); h {
		case "event.name", "event_name", "_raw", "attributes.event.name", "LogAttributes.event.name":
			return true
		}
	}
	return false
}

// DecodeCSV decodes rows under a header line, as a Splunk search exports them, and
// appends to into. An empty cell counts as absent, for the form cannot tell it
// from empty; a row that is no record is counted.
func DecodeCSV(data []byte, into *Batch) error {
	c := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	head, err := c.Read()
	if err != nil {
		return fmt.Errorf("%w: no header line", ErrJSON)
	}
	for i := range head {
		head[i] = strings.TrimSpace(head[i])
	}
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			into.Bad = append(into.Bad, BadRecord{Index: into.Records, Reason: "broken CSV row"})
			into.Records++
			continue
		}
		pairs := make([]pair, 0, len(row))
		for i, cell := range row {
			if cell == "" || i >= len(head) || head[i] == "" || len(pairs) >= maxPairs {
				continue
			}
			if !utf8.ValidString(cell) {
				cell = strings.ToValidUTF8(cell, "\uFFFD")
			}
			pairs = append(pairs, pair{head[i], value{k: text, s: cell}})
		}
		if !into.file(pairs) {
			into.Bad = append(into.Bad, BadRecord{Index: into.Records, Reason: "row names no event"})
			into.Records++
		}
	}
}
