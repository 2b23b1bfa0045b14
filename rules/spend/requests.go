package spend

import (
	"fmt"
	"slices"
	"time"
)

// RequestStatus of an increase request. Approved and denied are final.
type RequestStatus string

const (
	Pending  RequestStatus = "pending"
	Approved RequestStatus = "approved"
	Denied   RequestStatus = "denied"
)

// hiddenFor is how long a denial hides the button that asks for more.
const hiddenFor = 30 * 24 * time.Hour

// IncreaseRequest is a member's request for more usage. The record holds no
// amount: the approver gives it.
type IncreaseRequest struct {
	ID       string
	Member   int
	Period   string // monthly
	Status   RequestStatus
	Created  time.Time
	Resolved time.Time // zero while pending
	// Spent is what the member had spent when asking; kept while pending only.
	Spent *int64
}

// IncreaseRequests is the life of increase requests over a ledger: a member asks,
// an administrator approves with an amount, which writes an override, or denies.
// Setting a limit in another way does not resolve a request.
type IncreaseRequests struct {
	ledger *Ledger
	all    []*IncreaseRequest
}

// NewIncreaseRequests starts without requests.
func NewIncreaseRequests(l *Ledger) *IncreaseRequests { return &IncreaseRequests{ledger: l} }

// Ask creates a request. A member has one pending request at most, and none for 30
// days after a denial; without a limit there is nothing to ask for.
func (q *IncreaseRequests) Ask(member int, t time.Time) (*IncreaseRequest, error) {
	if _, _, free := q.ledger.Limit(member, t); free {
		return nil, fmt.Errorf("spend: member %d has no limit to raise", member)
	}
	for _, r := range q.all {
		if r.Member != member {
			continue
		}
		switch {
		case r.Status == Pending:
			return nil, fmt.Errorf("spend: member %d has request %s pending", member, r.ID)
		case r.Status == Denied && t.Before(r.Resolved.Add(hiddenFor)):
			return nil, fmt.Errorf("spend: request %s was denied on %s; the button is hidden until %s", r.ID, r.Resolved.Format(time.DateOnly), r.Resolved.Add(hiddenFor).Format(time.DateOnly))
		}
	}
	spent := q.ledger.Spent(member, t)
	r := &IncreaseRequest{ID: fmt.Sprintf("slir_%03d", len(q.all)+1), Member: member, Period: "monthly", Status: Pending, Created: t.UTC(), Spent: &spent}
	q.all = append(q.all, r)
	return r, nil
}

func (q *IncreaseRequests) find(id string) (*IncreaseRequest, error) {
	i := slices.IndexFunc(q.all, func(r *IncreaseRequest) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("spend: there is no request %s", id)
	}
	return q.all[i], nil
}

// Approve resolves a pending request with an override of the amount; nil is
// unlimited. The member goes on at once if the amount is above what was spent.
func (q *IncreaseRequests) Approve(id string, micros *int64, t time.Time) error {
	r, err := q.find(id)
	switch {
	case err != nil:
		return err
	case r.Status != Pending:
		return fmt.Errorf("spend: request %s is %s already", id, r.Status)
	case micros != nil && *micros < 0:
		return fmt.Errorf("spend: a limit is not below zero")
	}
	q.ledger.Override(r.Member, t, micros)
	q.resolve(r, Approved, t)
	return nil
}

// Deny resolves a pending request. A second denial changes nothing; an approved
// request cannot be denied.
func (q *IncreaseRequests) Deny(id string, t time.Time) error {
	r, err := q.find(id)
	switch {
	case err != nil:
		return err
	case r.Status == Denied:
		return nil
	case r.Status == Approved:
		return fmt.Errorf("spend: request %s is approved already", id)
	}
	q.resolve(r, Denied, t)
	return nil
}

func (q *IncreaseRequests) resolve(r *IncreaseRequest, s RequestStatus, t time.Time) {
	r.Status, r.Resolved, r.Spent = s, t.UTC(), nil
}

// List is every request of members who are still there at t, oldest first.
func (q *IncreaseRequests) List(t time.Time) []IncreaseRequest {
	out := []IncreaseRequest{}
	for _, r := range q.all {
		if left := q.ledger.dir.Left(r.Member); left.IsZero() || t.Before(left) {
			out = append(out, *r)
		}
	}
	return out
}
