package alert

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/scenarios/condition"
)

// Recipients are read out of the arguments by expressions, which other systems
// can run as they stand. Connectors name their arguments as they like; these
// names are common ones.
const (
	recipientName     = `"(?:to|cc|bcc|(?:(?:to|cc|bcc)_?)?recipients?|e?mails?|email_?address(?:es)?|attendees?|invitees?|shared?_?with)"\s*:\s*`
	recipientArgument = `(?i)` + recipientName + `("(?:[^"\\]|\\.)*"|\[[^\]]*\])`
	mailAddress       = `([^\s"'<>,;:()\[\]\\]+@[a-zA-Z0-9][a-zA-Z0-9.-]*)`
)

var (
	recipientValue = regexp.MustCompile(recipientArgument)
	recipientMail  = regexp.MustCompile(mailAddress)
)

// recipients are the addresses that the arguments of a call name, in lower case.
// all is false where more may be named than can be read: a value is cut, held
// back or not an address, or the arguments end early.
func recipients(input string) (addresses []string, all bool) {
	if strings.IndexByte(input, '@') < 0 {
		return nil, false
	}
	all = strings.HasSuffix(strings.TrimRight(input, " \n\r\t"), "}")
	for _, m := range recipientValue.FindAllStringSubmatch(input, -1) {
		v := m[1]
		found := recipientMail.FindAllString(v, -1)
		if len(v) >= event.InputCap || found == nil && v != `""` && v != `[]` {
			all = false
		}
		for _, a := range found {
			addresses = append(addresses, strings.ToLower(a))
		}
	}
	return addresses, all && addresses != nil
}

// outsideRecipient compares the recipients with the declared domains. One
// outside settles it; that all are inside must be readable.
func outsideRecipient(s *subject) condition.Tri {
	if s.cfg.Domains == nil {
		return condition.Unknown
	}
	addresses, all := recipients(s.ev.Input)
	if slices.ContainsFunc(addresses, func(a string) bool { return !s.cfg.inside(a) }) {
		return condition.True
	}
	return condition.Of(false, all)
}

// inside reports that an address is at a declared domain or at one below it.
func (c *Config) inside(address string) bool {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	return slices.ContainsFunc(c.Domains, func(d string) bool {
		return domain == d || strings.HasSuffix(domain, d) && domain[len(domain)-len(d)-1] == '.'
	})
}
