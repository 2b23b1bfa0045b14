package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// page is output that is read while it is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) { p.mu.Lock(); defer p.mu.Unlock(); return p.b.Write(b) }
func (p *page) String() string              { p.mu.Lock(); defer p.mu.Unlock(); return p.b.String() }

// certificate writes one for 127.0.0.1 and its key, and returns a pool that
// trusts it.
func certificate(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(text)
	for file, data := range map[string][]byte{cert: text, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, pool
}

// listen over TLS with a bearer token: send is taken whole over HTTP and gRPC,
// and without the token, with another one or without TLS nothing is.
func TestListenSecure(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	token, wrong := file("token", "open-sesame-41\n"), file("wrong", "guess-7\n")
	var lines strings.Builder
	const records = 30
	for i := range records {
		fmt.Fprintf(&lines, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"17760000%02d000000000","body":{"stringValue":"claude_code.user_prompt"}}]}]}]}`+"\n", i)
	}
	stream := file("s.jsonl", lines.String())

	old := http.DefaultTransport
	tr := old.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	http.DefaultTransport = tr
	defer func() { tr.CloseIdleConnections(); http.DefaultTransport = old }()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out, errs page
	capture := filepath.Join(dir, "c.pb")
	done := make(chan int, 1)
	go func() {
		done <- Main(ctx, []string{"listen", "-o", capture, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--token-file", token, "--cert", cert, "--cert-key", key}, nil, &out, &errs)
	}()
	found := regexp.MustCompile(`http (\S+), grpc (\S+)`)
	var at []string
	for range 200 {
		if at = found.FindStringSubmatch(out.String()); at != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if at == nil {
		t.Fatalf("it does not listen: %s%s", out.String(), errs.String())
	}
	for _, tc := range []struct {
		name, url, protocol, token string
		code                       int
	}{
		{"protobuf", "https://" + at[1], "http/protobuf", token, 0},
		{"json", "https://" + at[1], "http/json", token, 0},
		{"grpc", "https://" + at[2], "grpc", token, 0},
		{"no token", "https://" + at[1], "http/protobuf", "", 1},
		{"another token", "https://" + at[1], "http/protobuf", wrong, 1},
		{"another token over grpc", "https://" + at[2], "grpc", wrong, 1},
		{"without TLS", "http://" + at[1], "http/protobuf", token, 1},
	} {
		args := []string{"send", stream, "--to", tc.url, "--protocol", tc.protocol}
		if tc.token != "" {
			args = append(args, "--token-file", tc.token)
		}
		var said bytes.Buffer
		limit, stop := context.WithTimeout(ctx, 3*time.Second)
		code := Main(limit, args, nil, &said, &said)
		stop()
		if code != tc.code || code == 0 && !strings.Contains(said.String(), fmt.Sprintf("%d records in 1 request acknowledged, 0 rejected", records)) {
			t.Errorf("%s: exit %d, want %d: %s", tc.name, code, tc.code, &said)
		}
		if strings.Contains(said.String(), "sesame") || strings.Contains(said.String(), "guess-7") {
			t.Errorf("%s: a token is printed: %s", tc.name, &said)
		}
	}
	if _, err := tls.Dial("tcp", at[1], &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("listen ended with %d: %s", code, errs.String())
	}
	if want := fmt.Sprintf("%d records in 3 requests", 3*records); !strings.Contains(out.String(), want) {
		t.Errorf("want %q: %s", want, out.String())
	}
	if said := out.String() + errs.String(); strings.Contains(said, "sesame") || strings.Contains(said, "guess-7") {
		t.Errorf("a token is logged: %s", said)
	}
}
