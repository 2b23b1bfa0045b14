package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sandtable-dev/sandtable/reports/pdf"
)

// contentKeys are attributes that carry what people wrote, read or did.
var contentKeys = map[string]string{
	"prompt": "PROMPT", "response": "RESPONSE", "tool_input": "INPUT", "tool_parameters": "PARAMS", "error": "ERROR", "error_message": "ERROR",
	"workspace.host_paths": "PATH", "body": "BODY", "message": "MESSAGE",
}

// plant marks every text of a record that could give somebody or something
// away, and collects who was named.
func plant(v any, key string, found map[string]bool) any {
	switch x := v.(type) {
	case map[string]any:
		if k, ok := x["key"].(string); ok { // an attribute
			x["value"] = plant(x["value"], k, found)
			return x
		}
		for k := range x {
			x[k] = plant(x[k], key, found)
		}
		return x
	case []any:
		for i := range x {
			x[i] = plant(x[i], key, found)
		}
		return x
	case string:
		switch key {
		case "user.email", "user.account_uuid", "user.account_id", "user.id":
			found[x] = true
			return x
		}
		mark, ok := contentKeys[key]
		if !ok {
			return x
		}
		canary := "CANARY" + mark
		found[canary] = true
		var inner any
		if json.Unmarshal([]byte(x), &inner) == nil {
			switch inner.(type) {
			case map[string]any, []any:
				data, _ := json.Marshal(plantInner(inner, canary))
				return string(data)
			}
		}
		return x + " " + canary
	}
	return v
}

// plantInner marks every string inside a tool's input, the names of tools and
// servers apart: those are configuration, which a report is about.
func plantInner(v any, canary string) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			if !strings.Contains(k, "server") && !strings.Contains(k, "tool") {
				x[k] = plantInner(x[k], canary)
			}
		}
		return x
	case []any:
		for i := range x {
			x[i] = plantInner(x[i], canary)
		}
		return x
	case string:
		if strings.Contains(x, "/") {
			return x + "/" + canary + ".txt"
		}
		return x + canary
	}
	return v
}

func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".zst") {
		return data
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if data, err = d.DecodeAll(data, nil); err != nil {
		t.Fatal(err)
	}
	return data
}

func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := Main(context.Background(), args, strings.NewReader(""), &out, &out); code != want {
		t.Fatalf("sandtable %v: exit %d\n%s", args, code, out.String())
	}
	return out.String()
}

// What people wrote, read and are called stays in the capture. The test plants
// marks in a capture of a whole rehearsal, assesses it, and searches every byte
// that comes out, archives unpacked and the text of the PDF included.
func TestNothingLeaks(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	command(t, 0, "run", "three-groups", "-o", "played")
	found := map[string]bool{}
	var capture bytes.Buffer
	for _, line := range bytes.Split(bytes.TrimSpace(unpacked(t, "played/stream.otlp.jsonl.zst")), []byte("\n")) {
		var v any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(plant(v, "", found))
		if err != nil {
			t.Fatal(err)
		}
		capture.Write(append(data, '\n'))
	}
	if err := os.WriteFile("capture.jsonl", capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var canaries []string
	mails := 0
	for c := range found {
		if len(c) < 8 {
			t.Fatalf("%q is too short to search for", c)
		}
		if strings.Contains(c, "@") {
			mails++
		}
		canaries = append(canaries, c)
	}
	sort.Strings(canaries)
	for _, want := range []string{"CANARYPROMPT", "CANARYINPUT", "CANARYPARAMS"} {
		if !found[want] {
			t.Fatalf("nothing was planted as %s", want)
		}
	}
	if mails < 10 {
		t.Fatalf("only %d e-mail addresses in the capture", mails)
	}

	assess := func(bundle string, flags ...string) map[string][]byte {
		args := append([]string{"assess", "capture.jsonl", "--org", "three-groups", "--set", "as_of=2026-10-01", "-o", bundle}, flags...)
		outputs := map[string][]byte{"terminal": []byte(command(t, 0, args...))}
		err := filepath.WalkDir(bundle, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			outputs[name] = unpacked(t, name)
			if strings.HasSuffix(name, ".pdf") {
				pages, err := pdf.ExtractText(outputs[name])
				if err != nil {
					return err
				}
				// A long word may be broken over lines.
				outputs[name] = []byte(strings.Join(strings.Fields(strings.Join(pages, "")), ""))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return outputs
	}
	hits := func(outputs map[string][]byte) (out []string) {
		for name, data := range outputs {
			for _, c := range canaries {
				if bytes.Contains(data, []byte(c)) {
					out = append(out, fmt.Sprintf("%s holds %s", name, c))
				}
			}
		}
		sort.Strings(out)
		return out
	}
	redacted := assess("bundle")
	if len(redacted) < 12 {
		t.Errorf("only %d outputs were searched", len(redacted))
	}
	if !bytes.Contains(redacted[filepath.Join("bundle", "findings.jsonl")], []byte(`"member":"member-`)) {
		t.Error("no finding names a member, so the search proves little")
	}
	for i, h := range hits(redacted) {
		if i == 20 {
			t.Error("and more")
			break
		}
		t.Error(h)
	}

	// The search would have found them: with content included they are there, and
	// every page says so.
	open := assess("open", "--include-content")
	if len(hits(open)) == 0 {
		t.Error("with --include-content nobody is named, so this test cannot fail")
	}
	raw, err := os.ReadFile(filepath.Join("open", "report.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := pdf.ExtractText(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pages {
		if !strings.Contains(p, "Names and content are included") {
			t.Errorf("page %d does not say that names are included", i+1)
		}
	}
	if !bytes.Contains(open[filepath.Join("open", "report.html")], []byte("Names and content are included")) {
		t.Error("the HTML does not say that names are included")
	}
}
