package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sandtable-dev/sandtable/reports/pdf"
)

var update = flag.Bool("update", false, "rewrite the expected outputs of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sandtable": main,
		// pdftext prints the text of a PDF, page by page, without any program
		// that a user would have to install.
		"pdftext": func() {
			data, err := os.ReadFile(os.Args[1])
			if err == nil {
				var pages []string
				if pages, err = pdf.ExtractText(data); err == nil {
					for i, p := range pages {
						fmt.Printf("--- page %d\n%s\n", i+1, p)
					}
					return
				}
			}
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		},
	})
}

// TestScripts runs every script of testdata/script, which read like a session
// of a user with only the README.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("what runs at the same time is tested in the packages; .ci/run plays the scripts without -short")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FIXTURES", absolute(filepath.Join("..", "..", "testdata")))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// code N command...: the exit code is exactly N.
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: code N command...")
				}
				err := ts.Exec(args[1], args[2:]...)
				got := "0"
				if err != nil {
					got = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if got != args[0] {
					ts.Fatalf("exit %s, expected %s", got, args[0])
				}
			},
			// reverse FROM TO: the lines of a file, the last one first.
			"reverse": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: reverse FROM TO")
				}
				lines := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
				slices.Reverse(lines)
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(lines, "")), 0o600))
			},
		},
	})
}

func absolute(p string) string {
	a, err := filepath.Abs(p)
	if err != nil {
		panic(err)
	}
	return a
}
