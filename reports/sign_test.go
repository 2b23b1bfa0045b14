package reports

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func keyPair(t *testing.T, dir, name string) (private, public string) {
	t.Helper()
	priv, pub, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, name), filepath.Join(dir, name+".pub")
	for file, data := range map[string][]byte{private: priv, public: pub} {
		if err := WriteKey(file, data, file == private); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

func TestSignature(t *testing.T) {
	dir := t.TempDir()
	priv, pub := keyPair(t, dir, "ours")
	_, other := keyPair(t, dir, "other")
	target := filepath.Join(dir, "b")
	b := newBundle(t, target, false)
	fill(t, b, "x")
	sign, err := ReadSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	b.SignWith(sign)
	if err := b.Commit(Manifest{Scenario: "x"}); err != nil {
		t.Fatal(err)
	}
	whole(t, target) // the signature is no stranger in the directory

	check := func(name, trusted string, valid, isTrusted bool, problem string) {
		t.Helper()
		s, err := CheckSignature(target, trusted)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Valid != valid || s.Trusted != isTrusted || !strings.Contains(s.Problem, problem) || (problem == "") != (s.Problem == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	check("enclosed key", "", true, false, "")
	check("trusted key", pub, true, true, "")
	check("another key", other, false, false, "another signer")

	manifest := filepath.Join(target, ManifestName)
	good, _ := os.ReadFile(manifest)
	os.WriteFile(manifest, bytes.Replace(good, []byte(`"seed": 0`), []byte(`"seed": 2`), 1), 0o666)
	check("edited manifest", pub, false, false, "does not fit")
	os.WriteFile(manifest, good, 0o666)

	// Signing again with another key is what an attacker would do.
	forger, err := ReadSigner(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	sig, forged, _ := forger(good)
	os.WriteFile(filepath.Join(target, SignatureName), sig, 0o666)
	os.WriteFile(filepath.Join(target, SignerName), forged, 0o666)
	check("re-signed, enclosed key", "", true, false, "")
	check("re-signed, trusted key", pub, false, false, "another signer")

	os.WriteFile(filepath.Join(target, SignatureName), []byte(base64.StdEncoding.EncodeToString([]byte("short"))), 0o666)
	check("garbage", pub, false, false, "not an Ed25519 signature")
	os.Remove(filepath.Join(target, SignatureName))
	check("stripped", "", false, false, "signature is missing")
	os.Remove(filepath.Join(target, SignerName))
	check("never signed", "", false, false, "")
	check("never signed, but expected", pub, false, false, "not signed")
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	priv, pub := keyPair(t, dir, "k")
	if _, err := ReadSigner(pub); err == nil || !strings.Contains(err.Error(), "public half") {
		t.Error(err)
	}
	if _, err := CheckSignature(dir, priv); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Error(err)
	}
	if err := WriteKey(priv, nil, true); err == nil || !strings.Contains(err.Error(), "not overwritten") {
		t.Error(err)
	}
	if info, err := os.Stat(priv); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the private key: %v", info.Mode())
	}
	text, err := NewPseudonymKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "names")
	if err := WriteKey(file, text, true); err != nil {
		t.Fatal(err)
	}
	key, err := ReadPseudonymKey(file)
	if err != nil || len(key) != 32 {
		t.Errorf("%v %v", key, err)
	}
	if _, err := ReadPseudonymKey(priv); err == nil || !strings.Contains(err.Error(), "it is one for signatures") {
		t.Error(err)
	}
	picture := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 2*maxKey)...)
	for _, data := range [][]byte{nil, picture[:100], picture, text[:len(text)-3], text[len(pseudonymHead):], append(text[:len(text):len(text)], text...)} {
		other := filepath.Join(dir, "other")
		if err := os.WriteFile(other, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPseudonymKey(other); err == nil || !strings.Contains(err.Error(), "not a key file; ") || !strings.Contains(err.Error(), "keygen --pseudonyms") {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
	// As an editor on another system leaves it.
	if err := os.WriteFile(file, append([]byte("\n"), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadPseudonymKey(file); err != nil || !bytes.Equal(again, key) {
		t.Errorf("%x, want %x: %v", again, key, err)
	}
}
