package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sandtable-dev/sandtable/scenarios"
	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// completeWord is what the shells' scripts ask with: the words so far, the one
// being typed last. It is no command of its own, so that none lists it.
const completeWord = "__complete"

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print what makes a shell complete commands, flags and shipped names", ArgsUsage: "SHELL",
		Description: "SHELL is bash, zsh or fish.\n\n   bash   source <(sandtable completion bash)\n   zsh    source <(sandtable completion zsh)\n   fish   sandtable completion fish | source\n\n" +
			"To keep it, write the line into the shell's start-up file.",
		Action: func(c *cli.Context) error {
			shell, err := argument(c, "SHELL")
			if err != nil {
				return err
			}
			script, ok := shells[shell]
			if !ok {
				advice := ""
				if g := source.Nearest(shell, []string{"bash", "zsh", "fish"}); g != "" {
					advice = fmt.Sprintf("; did you mean %q?", g)
				}
				return usage("%q is not bash, zsh or fish%s", shell, advice)
			}
			fmt.Fprint(c.App.Writer, script)
			return nil
		},
	}
}

// The scripts hand every word to the program and fall back on files where it has
// no answer. They call the program by the name that was typed.
var shells = map[string]string{
	"bash": `# Completion of sandtable for bash: source <(sandtable completion bash)
_sandtable() {
	local IFS=$'\n'
	COMPREPLY=($("$1" ` + completeWord + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sandtable sandtable
`,
	"zsh": `#compdef sandtable
# Completion of sandtable for zsh: source <(sandtable completion zsh)
_sandtable() {
	local -a found
	found=(${(f)"$("${words[1]}" ` + completeWord + ` "${(@)words[2,CURRENT]}" 2>/dev/null)"})
	if (( $#found )); then
		compadd -- "${found[@]}"
	else
		_files
	fi
}
if (( ! $+functions[compdef] )); then
	autoload -Uz compinit && compinit
fi
compdef _sandtable sandtable
`,
	"fish": `# Completion of sandtable for fish: sandtable completion fish | source
function __sandtable_complete
	set -l words (commandline -opc)
	set -l program $words[1]
	set -e words[1]
	set -l found ($program ` + completeWord + ` $words (commandline -ct) 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path (commandline -ct)
	end
end
complete -c sandtable -f -a '(__sandtable_complete)'
`,
}

// complete prints what the last of the words may become, one a line. It prints
// nothing where a file or a value is expected, and never fails.
func complete(out io.Writer, all []*cli.Command, words []string) {
	if len(words) == 0 {
		return
	}
	cur, before := words[len(words)-1], words[:len(words)-1]
	cmds, flags := all, []cli.Flag{cli.HelpFlag, cli.VersionFlag}
	var at *cli.Command
	given := 0 // arguments that are neither commands nor flags
	for i := 0; i < len(before); i++ {
		w := before[i]
		if w == "--" {
			return
		}
		if len(w) > 1 && w[0] == '-' {
			name, _, has := strings.Cut(strings.TrimLeft(w, "-"), "=")
			f := flagNamed(flags, name)
			if _, isBool := f.(*cli.BoolFlag); f != nil && !isBool && !has {
				if i++; i == len(before) {
					return // the value of a flag
				}
			}
			continue
		}
		if c := find(cmds, w); c != nil && given == 0 {
			at, cmds, flags = c, c.Subcommands, append([]cli.Flag{cli.HelpFlag}, c.Flags...)
			continue
		}
		given++
	}
	var found []string
	switch {
	case strings.HasPrefix(cur, "-"):
		for _, f := range flags {
			for _, n := range f.Names() {
				if len(n) > 1 {
					found = append(found, "--"+n)
				}
			}
		}
	case given == 0:
		for _, c := range cmds {
			if !c.Hidden {
				found = append(found, c.Name)
			}
		}
	}
	if at != nil && !strings.HasPrefix(cur, "-") && takesScenario(at, given) {
		for _, s := range scenarios.List() {
			found = append(found, s.Name)
		}
	}
	if at != nil && at.Name == "completion" && given == 0 {
		found = append(found, "bash", "zsh", "fish")
	}
	slices.Sort(found)
	for _, f := range slices.Compact(found) {
		if strings.HasPrefix(f, cur) {
			fmt.Fprintln(out, f)
		}
	}
}

// takesScenario reports that the next argument of a command is a scenario.
func takesScenario(c *cli.Command, given int) bool {
	args := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(c.ArgsUsage))
	switch {
	case given < len(args):
	case len(args) > 0 && strings.HasSuffix(args[len(args)-1], "..."):
		given = len(args) - 1
	default:
		return false
	}
	switch a := strings.TrimSuffix(args[given], "..."); {
	case a == "SCENARIO":
		return true
	case a == "A", a == "B":
		return c.Name == "compare"
	}
	return false
}
