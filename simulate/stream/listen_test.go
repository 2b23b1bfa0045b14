package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sandtable-dev/sandtable/rules/event"
	"github.com/sandtable-dev/sandtable/simulate/otlp"
)

func TestMain(m *testing.M) {
	if file := os.Getenv("SANDTABLE_TEST_RECEIVER"); file != "" {
		receiverProcess(file)
		return
	}
	os.Exit(m.Run())
}

// receiverProcess is a receiver that its parent kills.
func receiverProcess(file string) {
	r, err := OpenReceiver(file, ReceiverOptions{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	r.Server().Serve(l)
}

func receiver(t *testing.T, o ReceiverOptions) (*Receiver, *httptest.Server, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture.pb")
	r, err := OpenReceiver(file, o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(r)
	s.Config = r.Server()
	s.Start()
	t.Cleanup(func() { s.Close(); r.Close() })
	return r, s, file
}

// kept reads a capture file.
func kept(t *testing.T, file string) ([]event.Event, Input) {
	t.Helper()
	src, err := Open([]string{file}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []event.Event
	if err := src.Each(context.Background(), func(b *otlp.Batch) error { out = append(out, b.Events...); return nil }); err != nil {
		t.Fatal(err)
	}
	return out, src.Report()[0]
}

func post(t *testing.T, url, media string, body io.Reader, head map[string]string) (int, string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", media)
	for k, v := range head {
		q.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data)
}

// Telemetry acceptance, decoder (a) and (c): both encodings, packed or not,
// chunked or not, and partial success with counts.
func TestReceive(t *testing.T) {
	r, s, file := receiver(t, ReceiverOptions{MaxBody: 64 << 10, MaxUnpacked: 256 << 10})
	j, pb := profile().AppendJSON(nil, sample(0, 2)), profile().AppendProto(nil, sample(2, 2))
	chunked := func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) } // of unknown length
	const js, proto = "application/json", "application/x-protobuf"
	bomb := gz(bytes.Repeat([]byte{' '}, 1<<20))
	for _, c := range []struct {
		name, path, media string
		body              io.Reader
		head              map[string]string
		code              int
		answer            string
	}{
		{"json", "/v1/logs", js, bytes.NewReader(j), nil, 200, `{"partialSuccess":{}}`},
		{"json, charset, chunked", "/v1/logs/", js + "; charset=utf-8", chunked(j), nil, 200, `{"partialSuccess":{}}`},
		{"protobuf", "/v1/logs", proto, bytes.NewReader(pb), nil, 200, ""},
		{"prefix and doubled path", "/team/a/v1/logs/v1/logs", proto, chunked(pb), nil, 200, ""},
		{"gzip", "/v1/logs", proto, bytes.NewReader(gz(pb)), map[string]string{"Content-Encoding": "gzip"}, 200, ""},
		{"zstd", "/v1/logs", js, bytes.NewReader(zip(t, j)), map[string]string{"Content-Encoding": "zstd"}, 200, `{"partialSuccess":{}}`},
		{"metrics", "/v1/metrics", js, strings.NewReader(`{"resourceMetrics":[]}`), nil, 200, `{"partialSuccess":{}}`},
		{"traces", "/v1/traces", proto, strings.NewReader(""), nil, 200, ""},
		{"one bad record", "/v1/logs", js, strings.NewReader(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5000000","body":{"stringValue":"claude_code.user_prompt"}},17]}]}]}`), nil, 200, `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"not an object"}}`},
		{"garbage", "/v1/logs", js, strings.NewReader("my secret prompt"), nil, 400, `{"code":3,"message":"body is no OTLP request"}`},
		{"cut gzip", "/v1/logs", js, bytes.NewReader(gz(j)[:40]), map[string]string{"Content-Encoding": "gzip"}, 400, `{"code":3,"message":"body could not be read"}`},
		{"no gzip", "/v1/logs", js, bytes.NewReader(j), map[string]string{"Content-Encoding": "gzip"}, 400, `{"code":3,"message":"body could not be read"}`},
		{"unknown packing", "/v1/logs", js, bytes.NewReader(j), map[string]string{"Content-Encoding": "br"}, 415, ""},
		{"unknown type", "/v1/logs", "text/plain", bytes.NewReader(j), nil, 415, ""},
		{"elsewhere", "/v2/logs", js, bytes.NewReader(j), nil, 404, ""},
		{"too large", "/v1/logs", js, bytes.NewReader(make([]byte, 70<<10)), nil, 413, ""},
		{"too large, chunked", "/v1/logs", js, chunked(make([]byte, 70<<10)), nil, 413, ""},
		{"bomb", "/v1/logs", js, bytes.NewReader(bomb), map[string]string{"Content-Encoding": "gzip"}, 413, ""},
	} {
		code, answer := post(t, s.URL+c.path, c.media, c.body, c.head)
		if code != c.code || c.answer != "" && answer != c.answer || strings.Contains(answer, "secret") {
			t.Errorf("%s: %d %q, want %d %q", c.name, code, answer, c.code, c.answer)
		}
	}
	if resp, err := http.Get(s.URL + "/v1/logs"); err != nil || resp.StatusCode != 405 {
		t.Errorf("get: %v %v", resp.StatusCode, err)
	}
	n := r.Received()
	if n.Records != 13 || n.Rejected != 1 || n.Metrics != 1 || n.Traces != 1 || n.Refused != 10 {
		t.Errorf("%+v", n)
	}
	events, in := kept(t, file)
	if len(events) != 13 || in.Bad != 1 || len(in.Lost) != 0 {
		t.Errorf("%d events kept, %+v", len(events), in)
	}
}

func TestToken(t *testing.T) {
	r, s, _ := receiver(t, ReceiverOptions{Token: "open-sesame"})
	body := profile().AppendProto(nil, sample(0, 1))
	for token, want := range map[string]int{"": 401, "Bearer wrong": 401, "open-sesame": 401, "Bearer open-sesame": 200} {
		if code, answer := post(t, s.URL+"/v1/logs", "application/x-protobuf", bytes.NewReader(body), map[string]string{"Authorization": token}); code != want || strings.Contains(answer, "sesame") {
			t.Errorf("%q: %d %q", token, code, answer)
		}
	}
	if r.Received().Records != 1 {
		t.Errorf("%+v", r.Received())
	}
}

// What is at work at a time is bounded; the rest is told to come back.
func TestBackPressure(t *testing.T) {
	r, s, _ := receiver(t, ReceiverOptions{InFlight: 1})
	// A request by hand, since the client would keep back what it cannot finish.
	hold, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if _, err := io.WriteString(hold, "POST /v1/logs HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // until the first one is at work
		if len(r.slots) == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	code, _ := post(t, s.URL+"/v1/logs", "application/x-protobuf", bytes.NewReader(profile().AppendProto(nil, sample(0, 1))), nil)
	if code != http.StatusServiceUnavailable || r.Received().Busy != 1 {
		t.Errorf("a second request got %d, expected to be told to come back", code)
	}
}

// Sender and receiver agree over every protocol, and nothing changes on the way.
func TestSend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.jsonl")
	if err := os.WriteFile(file, lines(), 0o600); err != nil {
		t.Fatal(err)
	}
	want, _ := kept(t, file)
	for _, o := range []SendOptions{{}, {Protocol: "http/json"}, {Protocol: "http/json", Gzip: true}, {Protocol: "grpc"}, {Gzip: true, Batch: 4}} {
		r, s, capture := receiver(t, ReceiverOptions{})
		o.To = s.URL
		src, err := Open([]string{file}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sent, err := Send(context.Background(), src, o)
		if err != nil || sent.Records != 6 {
			t.Fatalf("%+v: %+v, %v", o, sent, err)
		}
		got, _ := kept(t, capture)
		for i := range got {
			if a, b := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); a != b {
				t.Fatalf("%s: event %d was\n%s\nis\n%s", o.Protocol, i, b, a)
			}
		}
		if r.Received().Records != 6 {
			t.Errorf("%+v", r.Received())
		}
	}
}

func TestSendAtAPaceAndNow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.jsonl")
	if err := os.WriteFile(file, lines(), 0o600); err != nil { // two events a request, one a second
		t.Fatal(err)
	}
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	var slept time.Duration
	_, s, capture := receiver(t, ReceiverOptions{})
	src, _ := Open([]string{file}, Options{})
	_, err := Send(context.Background(), src, SendOptions{To: s.URL, Speed: 2, ShiftToNow: true, Now: func() time.Time { return now.Add(slept) },
		Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := kept(t, capture)
	if slept != 2*time.Second || !got[0].When().Equal(now) || !got[5].When().Equal(now.Add(5*time.Second)) || got[5].Has&event.FStamp == 0 {
		t.Errorf("slept %s; first %s, last %s", slept, got[0].When(), got[5].When())
	}
	_, s, capture = receiver(t, ReceiverOptions{})
	src, _ = Open([]string{file}, Options{})
	if _, err := Send(context.Background(), src, SendOptions{To: s.URL, ShiftToNow: true, Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	if got, _ = kept(t, capture); !got[5].When().Equal(now) {
		t.Errorf("last %s", got[5].When())
	}
}

// An interrupted call goes on where it stopped.
func TestSendResumes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "s.jsonl")
	if err := os.WriteFile(file, lines(), 0o600); err != nil {
		t.Fatal(err)
	}
	r, s, capture := receiver(t, ReceiverOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	o := SendOptions{To: s.URL, Batch: 2, State: filepath.Join(dir, "state"), Progress: func(sent Sent) {
		if sent.Records == 2 {
			cancel()
		}
	}}
	src, _ := Open([]string{file}, Options{})
	if _, err := Send(ctx, src, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Progress = nil
	src, _ = Open([]string{file}, Options{})
	sent, err := Send(context.Background(), src, o)
	if err != nil || sent.Skipped != 2 || sent.Records != 4 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if got, _ := kept(t, capture); len(got) != 6 || r.Received().Records != 6 {
		t.Errorf("%d events", len(got))
	}
	// The state of another stream is refused.
	if err := os.WriteFile(file, append(lines(), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	src, _ = Open([]string{file}, Options{})
	if _, err := Send(context.Background(), src, o); err == nil || !strings.Contains(err.Error(), "another stream") {
		t.Errorf("got %v", err)
	}
}

func TestSendRetriesAndGivesUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.jsonl")
	if err := os.WriteFile(file, lines(), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := []int{503, 429, 200}
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(answers[min(n, len(answers)-1)])
		n++
	}))
	defer s.Close()
	var slept []time.Duration
	o := SendOptions{To: s.URL, Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}
	src, _ := Open([]string{file}, Options{})
	if sent, err := Send(context.Background(), src, o); err != nil || sent.Retries != 2 || slept[1] != 7*time.Second {
		t.Errorf("%+v, %v, slept %v", sent, err, slept)
	}
	for code, text := range map[int]string{401: "check the token", 400: "refuses", 404: "404 at"} {
		answers, n = []int{code}, 0
		src, _ = Open([]string{file}, Options{})
		if _, err := Send(context.Background(), src, o); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), text) || n != 1 {
			t.Errorf("%d: %v after %d attempts", code, err, n)
		}
	}
	answers, n = []int{503}, 0
	src, _ = Open([]string{file}, Options{})
	if _, err := Send(context.Background(), src, o); err == nil || n != 11 {
		t.Errorf("%v after %d attempts", err, n)
	}
}

// After a kill at any moment no acknowledged record is missing, and the capture
// goes on where it stopped.
func TestKilledReceiverKeepsWhatItAcknowledged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "capture.pb")
	acknowledged := map[int64]bool{}
	next := 0
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SANDTABLE_TEST_RECEIVER="+file)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var addr string
		if _, err := fmt.Fscanln(out, &addr); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					n := next
					next++
					mu.Unlock()
					resp, err := http.Post("http://"+addr+"/v1/logs", "application/x-protobuf", bytes.NewReader(profile().AppendProto(nil, sample(n, 1))))
					if err != nil {
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode == 200 {
						mu.Lock()
						acknowledged[int64(n)] = true
						mu.Unlock()
					}
				}
			}()
		}
		time.Sleep(time.Duration(60+40*round) * time.Millisecond)
		cmd.Process.Kill() // SIGKILL
		cmd.Wait()
		close(stop)
		wg.Wait()
		// What a cut write leaves behind.
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(binary.BigEndian.AppendUint32(nil, 5000)[:round])
		f.Close()
	}
	if r, err := OpenReceiver(file, ReceiverOptions{}); err != nil {
		t.Fatal(err)
	} else {
		r.Close()
	}
	events, in := kept(t, file)
	if len(in.Lost) != 0 {
		t.Errorf("lost %+v", in.Lost)
	}
	for i := range events {
		delete(acknowledged, events[i].Sequence)
	}
	if len(acknowledged) != 0 || len(events) == 0 {
		t.Errorf("%d acknowledged records are missing, %d kept", len(acknowledged), len(events))
	}
}

func TestForeignCaptureIsLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte("precious notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReceiver(file, ReceiverOptions{}); err == nil {
		t.Error("a foreign file is taken over")
	}
	if data, _ := os.ReadFile(file); string(data) != "precious notes" {
		t.Error("a foreign file was changed")
	}
}

// No body makes the receiver answer 500, panic or repeat what it was sent.
func FuzzReceiver(f *testing.F) {
	r, err := OpenReceiver(filepath.Join(f.TempDir(), "c.pb"), ReceiverOptions{MaxUnpacked: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	f.Add(profile().AppendProto(nil, sample(0, 1)), uint8(1), false)
	f.Add(profile().AppendJSON(nil, sample(0, 1)), uint8(0), false)
	f.Add(append([]byte{0, 0, 0, 0, 3}, "abc"...), uint8(2), false)
	f.Add(gz([]byte("x")), uint8(0), true)
	f.Fuzz(func(t *testing.T, body []byte, media uint8, packed bool) {
		q := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(body))
		q.Header.Set("Content-Type", []string{"application/json", "application/x-protobuf", "application/grpc"}[media%3])
		if packed {
			q.Header.Set("Content-Encoding", "gzip")
			q.Header.Set("Grpc-Encoding", "gzip")
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		if w.Code >= 500 {
			t.Fatalf("answer %d", w.Code)
		}
	})
}
