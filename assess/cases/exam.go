package cases

import (
	"fmt"
	"slices"
)

// Sitting is a mock exam under way, so that it can be taken up again.
type Sitting struct {
	Questions []string          `json:"questions"` // case ids in the order they are asked
	Given     map[string]string `json:"given"`     // letter by case id
	Left      []string          `json:"left_out"`  // cases whose scenario did not run
}

// ExamQuestions is how many questions a mock exam has unless told.
const ExamQuestions = 20

// Draw draws a mock exam of n questions from the exam track. Topics take turns,
// so that each is asked about; which cases of a topic come is decided by the
// number of the sitting. Fewer cases than n are all asked.
func (b *Book) Draw(n, sitting int) *Sitting {
	byTopic := map[string][]*Case{}
	var topics []string
	for _, c := range b.Cases {
		if c.Track != Exam {
			continue
		}
		t := c.Topic.Value
		if byTopic[t] == nil {
			topics = append(topics, t)
		}
		byTopic[t] = append(byTopic[t], c)
	}
	key := func(c *Case) uint64 { return hash(fmt.Sprintf("%d/%s", sitting, c.Id.Value)) }
	for _, t := range topics {
		slices.SortFunc(byTopic[t], func(x, y *Case) int {
			switch a, b := key(x), key(y); {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		})
	}
	s := &Sitting{Given: map[string]string{}}
	for round := 0; len(s.Questions) < n; round++ {
		added := false
		for _, t := range topics {
			if round < len(byTopic[t]) && len(s.Questions) < n {
				s.Questions = append(s.Questions, byTopic[t][round].Id.Value)
				added = true
			}
		}
		if !added {
			break
		}
	}
	return s
}

// Next is the first question without an answer, "" when all are answered.
func (s *Sitting) Next() string {
	for _, q := range s.Questions {
		if s.Given[q] == "" && !slices.Contains(s.Left, q) {
			return q
		}
	}
	return ""
}

// Answered counts the questions with an answer.
func (s *Sitting) Answered() int { return len(s.Given) }

// Asked counts the questions that could be asked.
func (s *Sitting) Asked() int { return len(s.Questions) - len(s.Left) }

// TopicCount is the outcome of a mock exam for one topic, in counts.
type TopicCount struct {
	Topic string `json:"topic"`
	Title string `json:"title"`
	Right int    `json:"right"`
	Of    int    `json:"of"`
}

// Missed is a question that was answered wrongly.
type Missed struct {
	Case  string `json:"case"`
	Given string `json:"given"`
	Right string `json:"right"`
}

// ExamReport counts by topic and lists what was missed. It states counts, never
// a percentage and never a pass: whoever sets an exam sets its mark.
type ExamReport struct {
	Right  int          `json:"right"`
	Of     int          `json:"of"`
	Topics []TopicCount `json:"topics"`
	Missed []Missed     `json:"missed"`
	Left   []string     `json:"left_out"`
}

// Report counts a sitting; right holds the letter that holds, by case id.
func (b *Book) Report(s *Sitting, right map[string]string) ExamReport {
	r := ExamReport{Topics: []TopicCount{}, Missed: []Missed{}, Left: append([]string{}, s.Left...)}
	at := map[string]int{}
	for _, q := range s.Questions {
		given, c := s.Given[q], b.Case(q)
		if given == "" || c == nil {
			continue
		}
		i, ok := at[c.Topic.Value]
		if !ok {
			i = len(r.Topics)
			at[c.Topic.Value] = i
			t := TopicCount{Topic: c.Topic.Value, Title: c.Topic.Value}
			if topic := b.Topic(c.Topic.Value); topic != nil {
				t.Title = topic.Title
			}
			r.Topics = append(r.Topics, t)
		}
		r.Of++
		r.Topics[i].Of++
		if given == right[q] {
			r.Right++
			r.Topics[i].Right++
		} else {
			r.Missed = append(r.Missed, Missed{Case: q, Given: given, Right: right[q]})
		}
	}
	return r
}
