package simulate

// StoryNames lists the incidents a scenario may ask for, in a fixed order.
func StoryNames() []string {
	var out []string
	for i := range tales {
		out = append(out, tales[i].ID.Value)
	}
	return out
}
