package alert

import "unsafe"

// spare is memory of windows that were let go of, to be used again: each member's fill
// up and are let go of every day, and most of the garbage of a pass would be theirs.
// The zero value has none.
type spare struct {
	bytes   [len(rooms)][]*byte // where room begins, as its size is known: there is much of it
	froms   [len(citedRooms)][]**from
	sliding []*sliding
	rated   []*rated
	steps   []*steps
	queues  []*queue
	absent  []*absent
}

// rooms are the sizes in which entries are kept packed; more than the last one is not
// used again. They are sizes that the allocator has, so that nothing of them is lost.
var rooms = [...]int{16, 24, 32, 48, 64, 80, 112, 144, 192, 256, 352, 512, 768, 1024}

// take gives room for n bytes, empty.
func (s *spare) take(n int) []byte {
	for i, size := range rooms {
		if n > size {
			continue
		}
		if k := len(s.bytes[i]); k > 0 {
			b := s.bytes[i][k-1]
			s.bytes[i] = s.bytes[i][:k-1]
			return unsafe.Slice(b, size)[:0]
		}
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n+n/4)
}

// give takes such room back.
func (s *spare) give(b []byte) {
	for i, size := range rooms {
		if cap(b) == size {
			s.bytes[i] = append(s.bytes[i], unsafe.SliceData(b))
			return
		}
	}
}

// takeFroms gives room for n places, empty.
func (s *spare) takeFroms(n int) []*from {
	i := 0
	for n > citedRooms[i] {
		i++
	}
	if k := len(s.froms[i]); k > 0 {
		f := s.froms[i][k-1]
		s.froms[i] = s.froms[i][:k-1]
		return unsafe.Slice(f, citedRooms[i])[:0]
	}
	return make([]*from, 0, citedRooms[i])
}

// giveFroms takes such room back.
func (s *spare) giveFroms(f []*from) {
	for i, size := range citedRooms {
		if cap(f) == size {
			clear(f)
			s.froms[i] = append(s.froms[i], unsafe.SliceData(f))
			return
		}
	}
}

// one gives what new would, of those that were let go of if there are any.
func one[T any](list *[]*T) *T {
	k := len(*list)
	if k == 0 {
		return new(T)
	}
	x := (*list)[k-1]
	*list = (*list)[:k-1]
	return x
}

// drop takes back what a window knew; it must not be used any more.
func (s *spare) drop(tail any) {
	switch t := tail.(type) {
	case *sliding:
		s.empty(&t.queue)
		*t = sliding{}
		s.sliding = append(s.sliding, t)
	case *rated:
		s.empty(&t.queue)
		*t = rated{}
		s.rated = append(s.rated, t)
	case *steps:
		s.dropQueue(t.lead)
		*t = steps{}
		s.steps = append(s.steps, t)
	case *absent:
		*t = absent{}
		s.absent = append(s.absent, t)
	case *familiar:
		s.dropQueue(t.burst)
	}
}

// dropQueue takes back a queue, if it is one, and what it holds.
func (s *spare) dropQueue(q *queue) {
	if q != nil {
		s.empty(q)
		s.queues = append(s.queues, q)
	}
}

// empty takes the memory of a queue.
func (s *spare) empty(q *queue) {
	s.give(q.packed)
	s.giveFroms(q.last)
	*q = queue{}
}
