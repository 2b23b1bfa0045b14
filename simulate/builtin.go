package simulate

import "io/fs"

// BuiltIn are the data files that shape what is simulated and belong to the tool:
// the stories and the figures of personas. A bundle lists their hashes.
func BuiltIn() []fs.FS { return []fs.FS{storyFiles, profiles} }
