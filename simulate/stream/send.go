package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

// SendOptions say where a stream goes and how fast.
type SendOptions struct {
	To       string            // base URL; /v1/logs is added unless it is there
	Protocol string            // http/protobuf (default), http/json or grpc
	Headers  map[string]string // sent with every request; values are never shown
	Gzip     bool
	Speed    float64 // times real time; 0: as fast as acknowledged
	Batch    int     // most records in a request; 512
	// ShiftToNow moves all times: at a pace so that the first event happens now,
	// else so that the last one does, which reads the stream twice.
	ShiftToNow bool
	// State is a file that remembers what was acknowledged, so that a later call
	// with the same stream goes on there. "" remembers nothing.
	State   string
	Client  *http.Client
	Now     func() time.Time
	Sleep   func(context.Context, time.Duration) error
	Retries int // attempts of one request beyond the first; 10
	// Progress is told after each acknowledged request.
	Progress func(Sent)
}

// Sent counts what was acknowledged. After an interruption the request under way
// may arrive twice: a receiver de-duplicates.
type Sent struct {
	Requests, Records, Rejected int64
	Retries                     int64
	Skipped                     int64 // acknowledged by an earlier call
	Shift                       time.Duration
	Reason                      string // first reason of a rejected record
}

// ErrRefused is wrapped when the receiver refuses a request for good.
var ErrRefused = errors.New("the receiver refuses the stream")

// sendState is the remembered progress.
type sendState struct {
	To     string        `json:"to"`
	Inputs []string      `json:"inputs"` // name and size of each
	Next   int64         `json:"next"`   // first event not acknowledged
	Shift  time.Duration `json:"shift_ns"`
}

type sender struct {
	o      SendOptions
	url    string
	sent   Sent
	state  sendState
	client *http.Client
	buf    []byte
	zip    bytes.Buffer
	first  int64     // time of the first event
	began  time.Time // when it was sent
}

// Send sends the stream in its order and returns when all of it is acknowledged.
// Records are written in the types in which they were read.
func Send(ctx context.Context, src *Source, o SendOptions) (Sent, error) {
	s := &sender{o: o, client: o.Client}
	if s.client == nil {
		s.client = &http.Client{Timeout: time.Minute}
	}
	if s.o.Batch <= 0 {
		s.o.Batch = 512
	}
	if s.o.Retries <= 0 {
		s.o.Retries = 10
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	if s.o.Sleep == nil {
		s.o.Sleep = func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
				return nil
			}
		}
	}
	if err := s.address(); err != nil {
		return s.sent, err
	}
	if err := s.remember(src); err != nil {
		return s.sent, err
	}
	s.sent.Shift = s.state.Shift
	if o.ShiftToNow && s.state.Shift == 0 {
		if err := s.shift(ctx, src); err != nil {
			return s.sent, err
		}
	}
	// As fast as acknowledged, small requests travel together; at a pace each goes
	// when it was sent.
	var together []event.Event
	err := src.Each(ctx, func(b *otlp.Batch) error {
		for i := range b.Events {
			if b.Events[i].Index < s.state.Next {
				s.sent.Skipped++
				continue
			}
			if together = append(together, b.Events[i]); len(together) >= s.o.Batch {
				if err := s.batch(ctx, together); err != nil {
					return err
				}
				together = together[:0]
			}
		}
		if len(together) == 0 || s.o.Speed == 0 {
			return nil
		}
		err := s.batch(ctx, together)
		together = together[:0]
		return err
	})
	if err == nil && len(together) > 0 {
		err = s.batch(ctx, together)
	}
	return s.sent, err
}

func (s *sender) address() error {
	u, err := url.Parse(s.o.To)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no address; give a base URL, for example http://127.0.0.1:4318", s.o.To)
	}
	switch s.o.Protocol {
	case "", "http/protobuf", "http/json":
		if !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1/logs") {
			u.Path = strings.TrimRight(u.Path, "/") + "/v1/logs"
		}
	case "grpc":
		u.Path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
		if s.o.Client == nil && u.Scheme == "http" {
			var p http.Protocols
			p.SetUnencryptedHTTP2(true)
			s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{Protocols: &p}}
		}
	default:
		return fmt.Errorf("protocol %q is not known; there are http/protobuf, http/json and grpc", s.o.Protocol)
	}
	s.url = u.String()
	return nil
}

// remember reads the state of an earlier call, which must be of the same stream.
func (s *sender) remember(src *Source) error {
	now := sendState{To: s.o.To}
	for _, name := range src.Inputs() {
		size := int64(-1)
		if st, err := os.Stat(name); err == nil {
			size = st.Size()
		}
		now.Inputs = append(now.Inputs, fmt.Sprintf("%s %d", filepath.Base(name), size))
	}
	s.state = now
	if s.o.State == "" {
		return nil
	}
	data, err := os.ReadFile(s.o.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var old sendState
	if err := json.Unmarshal(data, &old); err != nil {
		return fmt.Errorf("%s: not the state of a stream that was sent: %w", s.o.State, err)
	}
	if old.To != now.To || strings.Join(old.Inputs, "\n") != strings.Join(now.Inputs, "\n") {
		return fmt.Errorf("%s: is of another stream or receiver (%s to %s); remove it to begin anew", s.o.State, strings.Join(old.Inputs, ", "), old.To)
	}
	s.state = old
	return nil
}

func (s *sender) note(next int64) error {
	s.state.Next = next
	if s.o.State == "" {
		return nil
	}
	data, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	tmp := s.o.State + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.o.State)
}

// shift decides by how much times move: whole milliseconds, as the product's are.
func (s *sender) shift(ctx context.Context, src *Source) error {
	var first, last int64
	enough := errors.New("enough")
	err := src.Each(ctx, func(b *otlp.Batch) error {
		for i := range b.Events {
			if e := &b.Events[i]; e.Has&event.FTime != 0 {
				if first == 0 {
					first = e.Time
				}
				last = max(last, e.Time)
			}
		}
		if first != 0 && s.o.Speed > 0 {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	at := last
	if s.o.Speed > 0 {
		at = first
	}
	s.state.Shift = time.Duration((s.o.Now().UnixNano() - at) / 1e6 * 1e6)
	s.sent.Shift = s.state.Shift
	return nil
}

func (s *sender) batch(ctx context.Context, events []event.Event) error {
	if s.o.Speed > 0 {
		if err := s.pace(ctx, events[0].Time); err != nil {
			return err
		}
	}
	if s.state.Shift != 0 {
		for i := range events {
			Shift(&events[i], s.state.Shift)
		}
	}
	if err := s.post(ctx, events); err != nil {
		return err
	}
	s.sent.Requests++
	s.sent.Records += int64(len(events))
	if err := s.note(events[len(events)-1].Index + 1); err != nil {
		return err
	}
	if s.o.Progress != nil {
		s.o.Progress(s.sent)
	}
	return nil
}

// pace waits until an event is due.
func (s *sender) pace(ctx context.Context, at int64) error {
	if at == 0 {
		return nil
	}
	if s.first == 0 {
		s.first, s.began = at, s.o.Now()
		return nil
	}
	due := s.began.Add(time.Duration(float64(at-s.first) / s.o.Speed))
	if wait := due.Sub(s.o.Now()); wait > 0 {
		return s.o.Sleep(ctx, wait)
	}
	return nil
}

// post sends one request until it is acknowledged or refused for good.
func (s *sender) post(ctx context.Context, events []event.Event) error {
	media := "application/x-protobuf"
	switch s.o.Protocol {
	case "http/json":
		media = "application/json"
		s.buf = otlp.Copy.AppendJSON(s.buf[:0], events)
	case "grpc":
		media = "application/grpc"
		s.buf = otlp.Copy.AppendProto(append(s.buf[:0], 0, 0, 0, 0, 0), events)
		binary.BigEndian.PutUint32(s.buf[1:], uint32(len(s.buf)-5))
	default:
		s.buf = otlp.Copy.AppendProto(s.buf[:0], events)
	}
	body := s.buf
	if s.o.Gzip && s.o.Protocol != "grpc" {
		s.zip.Reset()
		z := gzip.NewWriter(&s.zip)
		z.Write(s.buf)
		z.Close()
		body = s.zip.Bytes()
	}
	wait := 500 * time.Millisecond
	var last error
	for try := 0; try <= s.o.Retries; try++ {
		if try > 0 {
			s.sent.Retries++
			if err := s.o.Sleep(ctx, wait); err != nil {
				return err
			}
			wait = min(2*wait, 30*time.Second)
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		q.Header.Set("Content-Type", media)
		if s.o.Protocol == "grpc" {
			q.Header.Set("Te", "trailers")
		} else if s.o.Gzip {
			q.Header.Set("Content-Encoding", "gzip")
		}
		for k, v := range s.o.Headers {
			q.Header.Set(k, v)
		}
		resp, err := s.client.Do(q)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			last = fmt.Errorf("%s cannot be reached: %w", s.o.To, unwrapURL(err))
			continue
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil {
			last = err
			continue
		}
		again, after, err := s.judge(resp, answer)
		if err == nil {
			return nil
		}
		if !again {
			return err
		}
		last = err
		if after > 0 {
			wait = after
		}
	}
	return fmt.Errorf("given up after %d attempts: %w", s.o.Retries+1, last)
}

// unwrapURL drops the method and URL that the client adds.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// judge reads an answer. again says that the same request may succeed later.
func (s *sender) judge(resp *http.Response, answer []byte) (again bool, after time.Duration, err error) {
	if s.o.Protocol == "grpc" {
		status := resp.Trailer.Get("Grpc-Status")
		text := resp.Trailer.Get("Grpc-Message")
		if status == "" {
			status, text = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
		}
		switch status {
		case "0":
			if len(answer) > 5 {
				s.partial(answer[5:])
			}
			return false, 0, nil
		case "1", "4", "8", "10", "11", "14", "15": // as the protocol says
			return true, 0, fmt.Errorf("gRPC status %s: %s", status, text)
		case "":
			return false, 0, fmt.Errorf("%w: HTTP status %d and no gRPC status; is this a gRPC endpoint?", ErrRefused, resp.StatusCode)
		}
		return false, 0, fmt.Errorf("%w: gRPC status %s: %s", ErrRefused, status, text)
	}
	switch c := resp.StatusCode; c {
	case 200, 202, 204:
		if strings.Contains(resp.Header.Get("Content-Type"), "json") {
			var doc struct {
				PartialSuccess struct {
					Rejected json.RawMessage `json:"rejectedLogRecords"`
					Message  string          `json:"errorMessage"`
				} `json:"partialSuccess"`
			}
			if json.Unmarshal(answer, &doc) == nil {
				if n, err := strconv.ParseInt(strings.Trim(string(doc.PartialSuccess.Rejected), `"`), 10, 64); err == nil && n > 0 {
					s.rejected(n, doc.PartialSuccess.Message)
				}
			}
		} else {
			s.partial(answer)
		}
		return false, 0, nil
	case 429, 502, 503, 504:
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 && n < 3600 {
			after = time.Duration(n) * time.Second
		}
		return true, after, fmt.Errorf("HTTP status %d", c)
	case 401, 403:
		return false, 0, fmt.Errorf("%w: HTTP status %d; check the token or headers", ErrRefused, c)
	case 404:
		return false, 0, fmt.Errorf("%w: HTTP status 404 at %s", ErrRefused, s.url)
	default:
		return false, 0, fmt.Errorf("%w: HTTP status %d", ErrRefused, c)
	}
}

// partial reads a protobuf ExportLogsServiceResponse.
func (s *sender) partial(answer []byte) {
	if len(answer) < 2 || answer[0] != 1<<3|2 {
		return
	}
	n, k := binary.Uvarint(answer[1:])
	if k <= 0 || uint64(len(answer)-1-k) < n {
		return
	}
	m := answer[1+k:][:n]
	var rejected uint64
	text := ""
	for len(m) > 1 {
		tag := m[0]
		v, k := binary.Uvarint(m[1:])
		if k <= 0 {
			return
		}
		m = m[1+k:]
		switch tag {
		case 1 << 3:
			rejected = v
		case 2<<3 | 2:
			if uint64(len(m)) < v {
				return
			}
			text, m = string(m[:v]), m[v:]
		default:
			return
		}
	}
	if rejected > 0 {
		s.rejected(int64(rejected), text)
	}
}

func (s *sender) rejected(n int64, why string) {
	s.sent.Rejected += n
	if s.sent.Reason == "" {
		s.sent.Reason = why
	}
}
