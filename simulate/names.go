package simulate

// StoryNames lists the incidents a scenario may ask for, in a fixed order.
func StoryNames() []string {
	out := make([]string, len(stories))
	for i := range stories {
		out[i] = stories[i].name
	}
	return out
}
