package replay

// Poison lets memory that is given back be overwritten, while a test runs.
func Poison(on bool) { poison = on }
