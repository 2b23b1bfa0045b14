package org

import (
	"time"

	"github.com/sandtable-dev/sandtable/scenarios/source"
)

// Channel is the way a change takes from where it is made to the members. Changes
// of one channel arrive in the order in which they were made; those of different
// channels overtake each other.
type Channel uint8

const (
	ByMembership   Channel = iota // a group filled by hand
	BySCIM                        // a group the identity provider pushes
	ByProvisioning                // members who come and go by way of the identity provider
	ByRole                        // rows of a role, roles attached to groups
	ByOrganisation                // switches, settings, plan
	ByConnector                   // a connector and its tool policy
	ByItem                        // plugins and skills
	BySeat                        // organisation role and seat
	ByLogin                       // what counts from the member's next sign-in on: groups and mappings under JIT
	Channels       = iota
)

var channelNames = [Channels]string{"membership", "scim_group", "provisioning", "role", "organisation", "connector", "plugin", "seat", "login"}

// String is the channel as scenarios spell it.
func (c Channel) String() string { return channelNames[c] }

// LagFact is the id of the fact that says how long changes of the channel take.
func (c Channel) LagFact() string {
	return [Channels]string{"membership-change-lag-minutes", "scim-lag-minutes", "provisioning-lag-minutes", "role-change-lag-minutes",
		"organisation-change-lag-minutes", "connector-change-lag-minutes", "plugin-change-lag-minutes", "seat-change-lag-minutes", "login-lag-minutes"}[c]
}

// Propagation overrides, in minutes, how long changes take at most until they have
// reached everybody. What is left out is as the dated fact says. The minutes of
// scim_group and provisioning come after the identity provider's push.
type Propagation struct {
	Membership   *int       `yaml:"membership"`
	SCIMGroup    *int       `yaml:"scim_group"`
	Provisioning *int       `yaml:"provisioning"`
	Role         *int       `yaml:"role"`
	Organisation *int       `yaml:"organisation"`
	Connector    *int       `yaml:"connector"`
	Plugin       *int       `yaml:"plugin"`
	Seat         *int       `yaml:"seat"`
	Login        *int       `yaml:"login"`
	Because      string     `yaml:"because"` // who measured or promised it
	At           source.Pos `yaml:"-"`
}

// Minutes is the override of a channel; ok is false when there is none.
func (p *Propagation) Minutes(c Channel) (n int, ok bool) {
	if p == nil {
		return 0, false
	}
	of := [Channels]*int{p.Membership, p.SCIMGroup, p.Provisioning, p.Role, p.Organisation, p.Connector, p.Plugin, p.Seat, p.Login}[c]
	if of == nil {
		return 0, false
	}
	return *of, true
}

// maxLagMinutes bounds an override: four weeks.
const maxLagMinutes = 28 * 24 * 60

// Check sees that the minutes can be.
func (p *Propagation) Check(pos source.Pos, ps *source.Problems) {
	p.At = pos
	for c := Channel(0); c < Channels; c++ {
		if n, ok := p.Minutes(c); ok && (n < 0 || n > maxLagMinutes) {
			ps.Add(pos, "give whole minutes, 0 for at once, at most 40320 (four weeks)", "propagation: %s takes %d minutes", c, n)
		}
	}
}

// View is up to which moment the changes of each channel have arrived.
type View [Channels]time.Time

// viewAt is the view in which everything made by t has arrived.
func viewAt(t time.Time) (v View) {
	for i := range v {
		v[i] = t
	}
	return v
}

// Part is what one change sends along one channel.
type Part struct {
	*Change
	Channel Channel
}

// Parts splits a change that alters the configuration by channel. What concerns
// single members is not among them; see Directory.Boundaries.
func (c *Config) Parts(ch *Change) []Part {
	one := func(by Channel) []Part { return []Part{{ch, by}} }
	switch {
	case ch.person() || ch.Limit != nil:
		return nil
	case ch.Role != nil:
		return one(ByRole)
	case ch.Connector != nil:
		return one(ByConnector)
	case ch.Plugin != nil, ch.Skill != nil:
		return one(ByItem)
	case ch.Group == nil:
		return one(ByOrganisation)
	}
	var out []Part
	part := func(by Channel, g GroupChange) {
		g.Name = ch.Group.Name
		x := *ch
		x.Group = &g
		out = append(out, Part{&x, by})
	}
	g := ch.Group
	if g.Rename != "" || g.Delete {
		part(c.GroupChannel(g.Name.Value), GroupChange{Rename: g.Rename, Delete: g.Delete})
	}
	if g.Attach != nil || g.Detach != nil {
		part(ByRole, GroupChange{Attach: g.Attach, Detach: g.Detach})
	}
	if g.Plugins != nil || g.Skills != nil {
		part(ByItem, GroupChange{Plugins: g.Plugins, Skills: g.Skills})
	}
	return out
}

// GroupChannel is how members come into a group: BySCIM, ByLogin or ByMembership.
func (c *Config) GroupChannel(name string) Channel {
	for i := range c.Groups {
		if c.Groups[i].Name.Value == name {
			return c.groupChannel(i)
		}
	}
	return ByMembership
}

func (c *Config) groupChannel(g int) Channel {
	switch {
	case c.Groups[g].Source != "scim":
		return ByMembership
	case c.Organisation.Directory == "jit":
		return ByLogin
	}
	return BySCIM
}

// In is the configuration as somebody sees it whom the changes have reached up to
// the view; see At.
func (c *Config) In(v View) *Config {
	var out *Config
	for _, ch := range c.inOrder() {
		for _, p := range c.Parts(ch) {
			if ch.When.After(v[p.Channel]) {
				continue
			}
			if out == nil {
				out = c.clone()
			}
			out.apply(p.Change)
		}
	}
	if out == nil {
		return c
	}
	return out
}
