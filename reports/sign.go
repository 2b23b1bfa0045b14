package reports

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Signatures are Ed25519 over the bytes of manifest.json, detached. Keys are
// PEM (PKCS #8 and PKIX) and the signature is one line of base64, so that an
// auditor can check one without this tool:
//
//	base64 -d manifest.json.sig > sig
//	openssl pkeyutl -verify -rawin -in manifest.json -sigfile sig -pubin -inkey TRUSTED.pub

const maxKey = 64 << 10

// GenerateKey makes a signing key, as PEM.
func GenerateKey() (private, public []byte, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, nil, err
	}
	public, err = publicPEM(pub)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), public, err
}

func publicPEM(pub ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ReadSigner reads a private key file and returns what Bundle.SignWith takes.
func ReadSigner(file string) (func([]byte) (signature, public []byte, err error), error) {
	data, err := readLimited(file, maxKey)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("signing key %s: not a PEM file; make one with: sandtable keygen %s", file, file)
	}
	if block.Type == "PUBLIC KEY" {
		return nil, fmt.Errorf("signing key %s: this is the public half; sign with the file without .pub", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", file, err)
	}
	priv, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s: a %T, and Ed25519 is needed", file, key)
	}
	return func(manifest []byte) ([]byte, []byte, error) {
		public, err := publicPEM(priv.Public().(ed25519.PublicKey))
		return append(base64.StdEncoding.AppendEncode(nil, ed25519.Sign(priv, manifest)), '\n'), public, err
	}, nil
}

// Signature is what a check of a bundle's signature found.
type Signature struct {
	Present bool   `json:"present"`
	Valid   bool   `json:"valid"`
	Trusted bool   `json:"trusted"` // made with the key that was given, not merely with the one enclosed
	Key     string `json:"key,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// CheckSignature checks the detached signature of a bundle. trusted is a public
// key file, or empty: the signature is then checked against the key enclosed in
// the bundle, which shows only that manifest and signature belong together. The
// error is for a trusted key that cannot be read; everything about the bundle is
// in the result.
func CheckSignature(dir, trusted string) (Signature, error) {
	var s Signature
	var key ed25519.PublicKey
	if trusted != "" {
		data, err := readLimited(trusted, maxKey)
		if err != nil {
			return s, fmt.Errorf("public key: %w", err)
		}
		if key, err = parsePublic(data); err != nil {
			return s, fmt.Errorf("public key %s: %w", trusted, err)
		}
	}
	encoded, err := readLimited(filepath.Join(dir, SignatureName), maxKey)
	enclosed, pubErr := readLimited(filepath.Join(dir, SignerName), maxKey)
	if errors.Is(err, fs.ErrNotExist) {
		if pubErr == nil {
			s.Problem = "a signer's key is enclosed, the signature is missing"
		} else if key != nil {
			s.Problem = "the bundle is not signed"
		}
		return s, nil
	}
	s.Present = true
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(encoded)))
	if err != nil || len(sig) != ed25519.SignatureSize {
		s.Problem = SignatureName + " is not an Ed25519 signature in base64"
		return s, nil
	}
	s.Trusted = key != nil
	if key == nil {
		if pubErr != nil {
			s.Problem = "the signer's key is not enclosed; give the key you trust with --pub"
			return s, nil
		}
		if key, err = parsePublic(enclosed); err != nil {
			s.Problem = fmt.Sprintf("%s: %v", SignerName, err)
			return s, nil
		}
	}
	s.Key = fingerprint(key)
	manifest, err := readLimited(filepath.Join(dir, ManifestName), maxManifest)
	if err != nil {
		s.Problem = err.Error()
		return s, nil
	}
	if s.Valid = ed25519.Verify(key, manifest, sig); !s.Valid {
		s.Trusted = false
		s.Problem = "the signature does not fit this manifest and key " + s.Key
		if other, err := parsePublic(enclosed); err == nil && !bytes.Equal(other, key) {
			s.Problem += "; the bundle names another signer, " + fingerprint(other)
		}
	}
	return s, nil
}

func parsePublic(data []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("not a PEM file")
	}
	if block.Type == "PRIVATE KEY" {
		return nil, errors.New("this is a private key: give the .pub file, and keep this one to yourself")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	pub, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T, and Ed25519 is needed", key)
	}
	return pub, nil
}

// fingerprint names a public key, short enough to be read out.
func fingerprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// NewPseudonymKey makes a key for members' pseudonyms, as the text of a key file.
func NewPseudonymKey() ([]byte, error) {
	var k [32]byte
	if _, err := rand.Read(k[:]); err != nil {
		return nil, err
	}
	return []byte(pseudonymHead + hex.EncodeToString(k[:]) + "\n"), nil
}

const pseudonymHead = "sandtable-pseudonym-key "

// ReadPseudonymKey reads a file that NewPseudonymKey made. The error wraps
// fs.ErrNotExist when there is no such file.
func ReadPseudonymKey(file string) ([]byte, error) {
	data, err := readLimited(file, maxKey)
	if err != nil && len(data) <= maxKey { // one that is too large is no key, whatever else it is
		return nil, fmt.Errorf("pseudonym key: %w", err)
	}
	if block, _ := pem.Decode(data); block != nil {
		return nil, fmt.Errorf("pseudonym key %s: not a key file for names: it is one for signatures; make the other with: sandtable keygen --pseudonyms FILE", file)
	}
	code, ok := strings.CutPrefix(strings.TrimSpace(string(data)), pseudonymHead)
	key, err := hex.DecodeString(code)
	if !ok || err != nil || len(key) != 32 {
		return nil, fmt.Errorf("pseudonym key %s: not a key file; name the one beside the bundle (DIR.key), or make one with: sandtable keygen --pseudonyms FILE", file)
	}
	return key, nil
}

// WriteKey writes a key file, never over another: losing a key loses what it
// signed or named. A secret one is readable by its owner alone.
func WriteKey(file string, data []byte, secret bool) error {
	mode := fs.FileMode(0o644)
	if secret {
		mode = 0o600
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; keys are not overwritten", file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
