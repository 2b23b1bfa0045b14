package alert

// values holds a number for each of some values, by their key. Most keys of a rule
// meet few values, which are looked through. The zero value holds none.
type values struct {
	few  []value
	many map[uint64]int64 // then few is empty
}

type value struct {
	key uint64
	n   int64
}

const fewValues = 16

func (v *values) len() int { return len(v.few) + len(v.many) }

// place is where a value stands among few; -1 without.
func (v *values) place(key uint64) int {
	for i := range v.few {
		if v.few[i].key == key {
			return i
		}
	}
	return -1
}

// get is the number of a value.
func (v *values) get(key uint64) (n int64, ok bool) {
	if v.many != nil {
		n, ok = v.many[key]
		return n, ok
	}
	if i := v.place(key); i >= 0 {
		return v.few[i].n, true
	}
	return 0, false
}

// set gives a value its number.
func (v *values) set(key uint64, n int64) {
	if v.many == nil {
		if i := v.place(key); i >= 0 {
			v.few[i].n = n
			return
		}
		k := len(v.few)
		if k < fewValues {
			if k == cap(v.few) {
				v.few = append(make([]value, 0, k+1+k/2), v.few...)
			}
			v.few = append(v.few, value{key, n})
			return
		}
		v.many = make(map[uint64]int64, 2*fewValues)
		for _, x := range v.few {
			v.many[x.key] = x.n
		}
		v.few = nil
	}
	v.many[key] = n
}

// add changes the number of a value, which goes when none is left.
func (v *values) add(key uint64, n int64) {
	if v.many == nil {
		if i := v.place(key); i >= 0 {
			if v.few[i].n += n; v.few[i].n <= 0 {
				last := len(v.few) - 1
				v.few[i] = v.few[last]
				v.few = v.few[:last]
			}
			return
		}
	}
	if n += v.many[key]; n > 0 {
		v.set(key, n)
	} else if delete(v.many, key); len(v.many) == 0 {
		v.many = nil
	}
}

// forget drops the values of less than n, where there are many.
func (v *values) forget(n int64) {
	for k, x := range v.many {
		if x < n {
			delete(v.many, k)
		}
	}
}

// reset drops all.
func (v *values) reset() { v.few, v.many = v.few[:0], nil }
