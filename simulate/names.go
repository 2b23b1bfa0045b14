package simulate

import "github.com/sandtable-dev/sandtable/scenarios/org"

// PluginHash names a plugin of the organisation on the wire of a scenario with
// the seed: an approved list holds hashes, as names may be held back.
func PluginHash(seed uint64, name string) string {
	return hex64(org.Stream(seed, "plugin", name))[:16]
}

// TaleInfo is what is known about a story or twin before it is played.
type TaleInfo struct {
	ID, Title string
	Number    int    // of the story; a twin has its story's
	Of        string // the story a twin belongs to; "" for a story
	Topics    []string
	Capture   string // full, names, meta or any
	Hidden    bool   // nothing on the wire tells
	Fact      string // where a twin's innocence can be read: W, C or X
	Innocent  string
	Everybody bool // changes the stream of many members at once
	Leaver    bool // needs a member who leaves
}

// Tales lists stories and twins, each twin after its story.
func Tales() []TaleInfo {
	return infos(tales())
}

func infos(list []tale) []TaleInfo {
	var out []TaleInfo
	for i := range list {
		t := &list[i]
		out = append(out, t.info())
		for k := range t.Twins {
			out = append(out, t.Twins[k].info())
		}
	}
	return out
}

func (t *tale) info() TaleInfo {
	x := TaleInfo{ID: t.ID.Value, Title: t.Title, Number: t.Number, Topics: t.Topics, Capture: t.Capture, Hidden: t.Hidden, Fact: t.Fact, Innocent: t.Innocent, Leaver: t.Leaver}
	if t.of != nil {
		x.Of, x.Number, x.Topics, x.Hidden = t.of.ID.Value, t.of.Number, t.of.Topics, t.of.Hidden
	}
	for _, c := range t.Changes {
		x.Everybody = x.Everybody || c.Who == "all" || c.Who == "team"
	}
	return x
}
