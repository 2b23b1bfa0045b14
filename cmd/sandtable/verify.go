package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/reports"
	"github.com/sandtable-dev/sandtable/reports/pdf"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check that a bundle is what its manifest says, byte for byte",
		ArgsUsage: "DIR",
		Description: "Names every file that was changed, lost or added since the bundle was written, and exits 1 if there is one.\n" +
			"A signature is checked offline: with --pub against a key you trust, otherwise only against the key enclosed.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "pub", Usage: "public key `FILE` that the signature must have been made with"},
			&cli.BoolFlag{Name: "json", Usage: "print the result as JSON"},
		},
		Action: func(c *cli.Context) error {
			dir, err := argument(c, "bundle directory")
			if err != nil {
				return err
			}
			return verify(c, dir, c.String("pub"))
		},
	}
}

type verification struct {
	Bundle      string               `json:"bundle"`
	Unchanged   bool                 `json:"unchanged"`
	Files       int                  `json:"files"`
	Bytes       int64                `json:"bytes"`
	Differences []reports.Difference `json:"differences"`
	Signature   reports.Signature    `json:"signature"`
	Digest      string               `json:"assessment_digest"` // as the PDF's cover carries it: fits, differs or not checked
}

func verify(c *cli.Context, dir, pub string) error {
	m, diffs, err := reports.Verify(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(dir); e != nil {
			return fmt.Errorf("%s: there is no such directory", dir)
		}
		if _, e := os.Stat(filepath.Join(dir, reports.ManifestName)); e != nil && !strings.Contains(err.Error(), "whole in") {
			return fmt.Errorf("%s is not a bundle: it has no %s", dir, reports.ManifestName)
		}
	}
	if err != nil {
		return fmt.Errorf("%s is not a bundle that can be checked: %w", dir, err)
	}
	sig, err := reports.CheckSignature(dir, pub)
	if err != nil {
		return usage("%v", err)
	}
	v := verification{Bundle: dir, Differences: diffs, Signature: sig, Files: len(m.Files), Digest: digestOnCover(dir, m)}
	if diffs == nil {
		v.Differences = []reports.Difference{}
	}
	for _, f := range m.Files {
		v.Bytes += f.Size
	}
	v.Unchanged = len(diffs) == 0 && sig.Problem == "" && v.Digest != "differs"

	w := c.App.Writer
	if c.Bool("json") {
		data, err := reports.JSON(v)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	} else {
		if len(diffs) == 0 {
			fmt.Fprintf(w, "%s is unchanged: %d files, %d bytes, each as the manifest lists it.\n", dir, v.Files, v.Bytes)
		} else {
			fmt.Fprintf(w, "%s is NOT what its manifest says: %s; the manifest lists %s.\n", dir, oneOrMore(len(diffs), "file differs", "files differ"), counted(v.Files, "file"))
			for _, d := range diffs {
				fmt.Fprintf(w, "  %-10s %s: %s\n", d.Kind, reports.Plain(d.Name), d.Detail)
			}
		}
		fmt.Fprintf(w, "Made by sandtable %s (%s, %s) from %s, seed %d, as of %s, %s evidence.\n", m.ToolVersion, m.GoVersion, m.Platform, m.Scenario, m.Seed, m.AsOf, m.Evidence)
		switch v.Digest {
		case "fits":
			fmt.Fprintln(w, "The PDF's cover carries the digest of this assessment.json.")
		case "differs":
			fmt.Fprintln(w, "The PDF's cover carries the digest of ANOTHER assessment.")
		}
		switch {
		case sig.Problem != "":
			fmt.Fprintf(w, "Signature: FAILED: %s.\n", sig.Problem)
		case sig.Trusted:
			fmt.Fprintf(w, "Signature: good, made with the key you gave (%s).\n", sig.Key)
		case sig.Present:
			fmt.Fprintf(w, "Signature: fits the key enclosed (%s). Anyone could have enclosed a key: give the one you trust with --pub.\n", sig.Key)
		default:
			fmt.Fprintln(w, "Signature: none.")
		}
		if v.Unchanged {
			fmt.Fprintln(w, "This shows that the files are unchanged. It does not show "+notShown(sig.Trusted)+".")
		} else {
			fmt.Fprintln(w, "This shows that the bundle is not as it was made. It does not show who changed it, or why.")
		}
	}
	if !v.Unchanged {
		return quiet(exitFailure)
	}
	return nil
}

func notShown(trusted bool) string {
	parts := []string{"who made them", "that the capture was complete", "that any control operated"}
	if trusted {
		parts = parts[1:]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

// digestOnCover compares the digest printed on the report's cover with the
// assessment beside it, as a reader would who has both on the desk.
func digestOnCover(dir string, m reports.Manifest) string {
	want := ""
	for _, f := range m.Files {
		if f.Name == "assessment.json" {
			want = f.SHA256
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "report.pdf"))
	if err != nil || want == "" {
		return "not checked"
	}
	pages, err := pdf.ExtractText(raw)
	if err != nil {
		return "not checked"
	}
	if strings.Contains(strings.Join(strings.Fields(strings.Join(pages, "")), ""), want) {
		return "fits"
	}
	return "differs"
}
