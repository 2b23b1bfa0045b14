// Command sandtable rehearses an organisation's rollout of Claude Cowork and
// says, with reasons, whether it may be used for regulated work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Version of the tool, written into every manifest.
const Version = "0.1.0"

// Exit codes.
const (
	exitFailure  = 1 // a failed expectation, test or verification; no usable record
	exitUsage    = 2 // wrong usage, or an invalid configuration file
	exitFindings = 3 // findings at or above --fail-on
)

func main() {
	collect()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func commands() []*cli.Command {
	return []*cli.Command{
		runCommand(),
		assessCommand(),
		scenariosCommand(),
		compareCommand(),
		sweepCommand(),
		factsCommand(),
		explainCommand(),
		simulateCommand(),
		doctorCommand(),
		traceCommand(),
		learnCommand(),
		sendCommand(),
		listenCommand(),
		orgCommand(),
		initCommand(),
		rulesCommand(),
		verifyCommand(),
		rerunCommand(),
		keygenCommand(),
		planCommand(),
		reconcileCommand(),
		benchCommand(),
		completionCommand(),
	}
}

// Main runs one command line and returns the exit code. It is main without the
// process, so that tests can call it.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	kept := &output{w: out}
	app := &cli.App{
		Name:                      "sandtable",
		Usage:                     "rehearse a Claude Cowork rollout, and read what an honest assessor would say",
		UsageText:                 "sandtable COMMAND [ARGUMENTS] [FLAGS]\n\nTry: sandtable run insurer-claims",
		Version:                   Version,
		Reader:                    in,
		Writer:                    kept,
		ErrWriter:                 errs,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		Commands:                  commands(),
		ExitErrHandler:            func(*cli.Context, error) {}, // exit codes are ours, below
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usage("%v", err) },
		CommandNotFound:           func(*cli.Context, string) {},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return unknownCommand(c.Args().First(), c.App.Commands)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		prepare(c)
	}
	if len(args) > 0 && args[0] == completeWord {
		complete(kept, app.Commands, args[1:])
		return report(kept.err, errs)
	}
	ordered, err := reorder(app, args)
	if err == nil {
		err = app.RunContext(ctx, append([]string{app.Name}, ordered...))
	}
	if err == nil {
		err = kept.err
	}
	return report(err, errs)
}

// output remembers that something could not be written: half an answer on a full
// disk is no success, and few of those who print look.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// asFile is the file behind a writer, for those who ask whether it is a terminal.
func asFile(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, ok := w.(*os.File)
	return f, ok
}

// prepare gives a command the error handling of the application, and a group of
// commands an answer to a name it does not have.
func prepare(c *cli.Command) {
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usage("%v", err) }
	c.HideHelpCommand = true
	if len(c.Subcommands) > 0 && c.Action == nil {
		subs := c.Subcommands
		c.Action = func(ctx *cli.Context) error {
			if ctx.Args().Present() {
				return unknownCommand(c.Name+" "+ctx.Args().First(), subs)
			}
			return cli.ShowSubcommandHelp(ctx)
		}
	}
	for _, s := range c.Subcommands {
		prepare(s)
	}
}

// failure is an error with the exit code it stands for. A nil err prints nothing:
// the command has said what there is to say.
type failure struct {
	code int
	err  error
}

func (f failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit %d", f.code)
	}
	return f.err.Error()
}
func (f failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error { return failure{exitUsage, fmt.Errorf(format, args...)} }

// quiet ends with a code after the command has printed its own account.
func quiet(code int) error { return failure{code, nil} }

func report(err error, errs io.Writer) int {
	if err == nil {
		return 0
	}
	code := exitFailure
	var f failure
	if errors.As(err, &f) {
		code = f.code
	} else if ps, ok := source.AsProblems(err); ok {
		code, err = exitUsage, ps
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(errs, "sandtable: interrupted; nothing was replaced")
	case f.code != 0 && f.err == nil:
	default:
		if ps, ok := source.AsProblems(err); ok {
			fmt.Fprintf(errs, "%s\nsandtable: %d %s\n", ps, len(ps), plural(len(ps), "problem", "problems"))
		} else {
			fmt.Fprintf(errs, "sandtable: %v\n", err)
		}
	}
	return code
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// counted is a number with its noun.
func counted[N int | int64](n N, noun string) string { return oneOrMore(n, noun, noun+"s") }

// oneOrMore is a number with words that do not take an s.
func oneOrMore[N int | int64](n N, one, many string) string {
	return fmt.Sprintf("%d %s", n, plural(int(n), one, many))
}

func unknownCommand(name string, known []*cli.Command) error {
	var names []string
	for _, c := range known {
		names = append(names, c.Name)
	}
	last := name[strings.LastIndexByte(name, ' ')+1:]
	if g := source.Nearest(last, names); g != "" {
		return usage("%q is not a command; did you mean %q?", name, g)
	}
	return usage("%q is not a command; there are: %s", name, strings.Join(names, ", "))
}

// reorder puts flags before positional arguments, because the library stops
// reading flags at the first argument that is none. What follows "--" stays
// positional. An unknown flag is refused here, wherever it stands.
func reorder(app *cli.App, args []string) ([]string, error) {
	var path []string
	cmds, flags := app.Commands, append([]cli.Flag{}, cli.HelpFlag, cli.VersionFlag)
	i := 0
	for ; i < len(args); i++ {
		c := find(cmds, args[i])
		if c == nil {
			break
		}
		path = append(path, args[i])
		cmds, flags = c.Subcommands, append([]cli.Flag{cli.HelpFlag}, c.Flags...)
	}
	var fl, pos []string
	for ; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			pos = append(pos, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			pos = append(pos, a)
			continue
		}
		name, _, has := strings.Cut(strings.TrimLeft(a, "-"), "=")
		f := flagNamed(flags, name)
		if f == nil {
			var names, begun []string // by their long names
			for _, f := range flags {
				for _, n := range f.Names() {
					if len(n) > 1 {
						names = append(names, n)
					}
					if len(n) > 1 && len(name) > 1 && strings.HasPrefix(n, name) {
						begun = append(begun, n)
					}
				}
			}
			where := strings.TrimSpace("sandtable " + strings.Join(path, " "))
			g := source.Nearest(name, names)
			if len(begun) == 1 {
				g = begun[0]
			}
			if name == "as-of" && flagNamed(flags, "set") != nil {
				return nil, usage("%s is not a flag of %q; write --set as_of=DATE", a, where)
			}
			if g != "" {
				return nil, usage("%s is not a flag of %q; did you mean --%s?", a, where, g)
			}
			return nil, usage("%s is not a flag of %q; see %s --help", a, where, where)
		}
		fl = append(fl, a)
		if _, isBool := f.(*cli.BoolFlag); !isBool && !has {
			if i+1 == len(args) {
				return nil, usage("%s needs a value", a)
			}
			i++
			fl = append(fl, args[i])
		}
	}
	out := append(path, fl...)
	if len(pos) > 0 {
		out = append(append(out, "--"), pos...)
	}
	return out, nil
}

func find(cmds []*cli.Command, name string) *cli.Command {
	for _, c := range cmds {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

// argument returns the only positional argument, or says what is missing.
func argument(c *cli.Context, what string) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return "", usage("%s is missing; see %s --help", what, c.Command.HelpName)
	}
	return "", usage("one %s is expected, found %d arguments: %s", what, c.NArg(), strings.Join(c.Args().Slice(), " "))
}

// setFlag is --set K=V, which every command that takes a scenario has.
func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "lay `KEY=VALUE` over the scenario, e.g. --set as_of=2026-08-22; may be repeated"}
}
