package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/reports"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name: "keygen", Usage: "make a key that signs bundles, or one for members' pseudonyms",
		ArgsUsage: "FILE",
		Description: "Writes an Ed25519 key to FILE and its public half to FILE.pub. Sign with: run ... --sign FILE.\n" +
			"Give FILE.pub to whoever checks: verify DIR --pub FILE.pub.\n" +
			"With --pseudonyms, FILE is the secret under which members of a capture are named: the same file gives the same\n" +
			"names from one bundle to the next. Keep it outside the bundle; whoever has it can find out who is who.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "pseudonyms", Usage: "make a key for pseudonyms instead"}},
		Action: func(c *cli.Context) error {
			file, err := argument(c, "file for the key")
			if err != nil {
				return err
			}
			w := c.App.Writer
			if c.Bool("pseudonyms") {
				key, err := reports.NewPseudonymKey()
				if err != nil {
					return err
				}
				if err := reports.WriteKey(file, key, true); err != nil {
					return err
				}
				fmt.Fprintf(w, "%s: a key for pseudonyms, readable by you alone. Use it with: assess ... --key %s\n", file, file)
				return nil
			}
			private, public, err := reports.GenerateKey()
			if err != nil {
				return err
			}
			if err := reports.WriteKey(file, private, true); err != nil {
				return err
			}
			if err := reports.WriteKey(file+".pub", public, false); err != nil {
				return err
			}
			fmt.Fprintf(w, "%s: the private key, readable by you alone. Sign with: run ... --sign %s\n%s.pub: the public key, for whoever checks: verify DIR --pub %s.pub\n", file, file, file, file)
			return nil
		},
	}
}
