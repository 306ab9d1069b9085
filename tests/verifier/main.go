// Verifies a ledger of Reeve with the code of the formats' author, golang.org/x/mod/sumdb/{tlog,note}, and none of ours.
//
//	verifier [--pruned N] LEDGER_FOLDER VKEY [OLD_CHECKPOINT] [WITNESS_VKEY...]
//	verifier --proof FILE VKEY [WITNESS_VKEY...]
//
// The first form verifies a folder of tiles as c2sp.org/tlog-tiles describes it: the signature of `checkpoint`, every
// tile and every entry bundle against its root, the partial ones that are left over from smaller sizes against what
// they grew into, that the log continues OLD_CHECKPOINT, and that each of the witnesses cosigned. With --pruned N,
// bundles that end at or before entry N may be missing; their hashes are verified all the same.
//
// The second form verifies the proof of one entry, the file of `reeve ledger prove` (c2sp.org/tlog-proof).
//
// Prints one line of counts. Exit codes: 0 verified, 1 refused, 2 not asked rightly.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

func main() {
	args, pruned, proof, err := flags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		fmt.Fprintln(os.Stderr, "usage: verifier [--pruned N] LEDGER_FOLDER VKEY [OLD_CHECKPOINT] [WITNESS_VKEY...]")
		fmt.Fprintln(os.Stderr, "       verifier --proof FILE VKEY [WITNESS_VKEY...]")
		os.Exit(2)
	}
	var report string
	if proof {
		report, err = verifyProof(args)
	} else {
		report, err = verifyFolder(args, pruned)
	}
	if err != nil {
		fmt.Println("REFUSED:", err)
		os.Exit(1)
	}
	fmt.Println("OK", report)
}

// arguments are what is left of the command line without its flags.
type arguments struct {
	path, vkey, old string
	witnesses       []string
}

var vkeyForm = regexp.MustCompile(`^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$`)

func flags(words []string) (args arguments, pruned int64, proof bool, err error) {
	var rest []string
	for len(words) > 0 {
		switch word := words[0]; {
		case word == "--proof":
			proof = true
		case word == "--pruned" && len(words) > 1:
			words = words[1:]
			if pruned, err = strconv.ParseInt(words[0], 10, 64); err != nil {
				return args, 0, false, fmt.Errorf("--pruned wants a number of entries: %w", err)
			}
		case strings.HasPrefix(word, "--"):
			return args, 0, false, fmt.Errorf("unknown option %s", word)
		default:
			rest = append(rest, word)
		}
		words = words[1:]
	}
	if len(rest) < 2 {
		return args, 0, false, errors.New("a path and a verifier key are needed")
	}
	args.path, args.vkey = rest[0], rest[1]
	for _, word := range rest[2:] {
		switch {
		case vkeyForm.MatchString(word):
			args.witnesses = append(args.witnesses, word)
		case args.old == "" && !proof:
			args.old = word
		default:
			return args, 0, false, fmt.Errorf("`%s` is not a verifier key", word)
		}
	}
	return args, pruned, proof, nil
}

// checkpoint is a verified tree head.
type checkpoint struct {
	tree   tlog.Tree
	signed int
}

// openCheckpoint verifies the log's signature and that every witness cosigned.
func openCheckpoint(text []byte, vkey string, witnesses []string) (checkpoint, error) {
	log, err := note.NewVerifier(vkey)
	if err != nil {
		return checkpoint{}, fmt.Errorf("the log's verifier key: %w", err)
	}
	verifiers := []note.Verifier{log}
	for _, witness := range witnesses {
		verifier, err := newCosignatureVerifier(witness)
		if err != nil {
			return checkpoint{}, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return checkpoint{}, fmt.Errorf("the checkpoint: %w", err)
	}
	signed := make(map[string]bool)
	for _, signature := range opened.Sigs {
		signed[fmt.Sprintf("%s+%08x", signature.Name, signature.Hash)] = true
	}
	for _, verifier := range verifiers {
		if !signed[fmt.Sprintf("%s+%08x", verifier.Name(), verifier.KeyHash())] {
			return checkpoint{}, fmt.Errorf("the checkpoint is not signed by %s", verifier.Name())
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != log.Name() {
		return checkpoint{}, fmt.Errorf("the checkpoint is not one of %s", log.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return checkpoint{}, fmt.Errorf("`%s` is not the size of a log", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, err
	}
	return checkpoint{tlog.Tree{N: size, Hash: root}, len(witnesses)}, nil
}

// cosignatureVerifier verifies cosignature/v1 (c2sp.org/tlog-cosignature).
type cosignatureVerifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosignatureVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, fmt.Errorf("`%s` is not the key of a witness", vkey)
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	if fmt.Sprintf("%x", sum[:4]) != hash {
		return nil, fmt.Errorf("the id of the key of %s is wrong", name)
	}
	return cosignatureVerifier{name, binary.BigEndian.Uint32(sum[:]), key[1:]}, nil
}

func (v cosignatureVerifier) Name() string    { return v.name }
func (v cosignatureVerifier) KeyHash() uint32 { return v.hash }

func (v cosignatureVerifier) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(v.key, append([]byte(head), text...), signature[8:])
}

// folder reads tiles for tlog.
type folder struct {
	path  string
	tiles int
}

func (f *folder) Height() int                             { return height }
func (f *folder) SaveTiles(tiles []tlog.Tile, _ [][]byte) { f.tiles += len(tiles) }

func (f *folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for at, tile := range tiles {
		data, err := f.read(tile, tile.W*tlog.HashSize)
		if err != nil {
			return nil, err
		}
		all[at] = data
	}
	return all, nil
}

// read gives the file of a tile; a partial one that is gone is the beginning of the full one.
func (f *folder) read(tile tlog.Tile, length int) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.path, name(tile)))
	if errors.Is(err, fs.ErrNotExist) && tile.W < width {
		tile.W = width
		data, err = os.ReadFile(filepath.Join(f.path, name(tile)))
		if err == nil && length < len(data) {
			data = data[:length]
		}
	}
	if err == nil && len(data) != length {
		err = fmt.Errorf("%s has %d bytes instead of %d", name(tile), len(data), length)
	}
	return data, err
}

// name is a tile's path as c2sp.org/tlog-tiles has it: without the height, and with "entries" for tlog's "data".
func name(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

func verifyFolder(args arguments, pruned int64) (string, error) {
	text, err := os.ReadFile(filepath.Join(args.path, "checkpoint"))
	if err != nil {
		return "", err
	}
	head, err := openCheckpoint(text, args.vkey, args.witnesses)
	if err != nil {
		return "", err
	}
	tree, tiles := head.tree, &folder{path: args.path}
	if tree.N == 0 {
		if tree.Hash != tlog.Hash(sha256.Sum256(nil)) {
			return "", errors.New("the root of a log without entries is wrong")
		}
		return "entries=0", nil
	}
	reader := tlog.TileHashReader(tree, tiles)
	bundles, missing := 0, int64(0)
	for start := int64(0); start < tree.N; start += width {
		present, err := verifyBundle(args.path, start, lesser(start+width, tree.N), pruned, reader)
		if err != nil {
			return "", err
		}
		if present {
			bundles++
		} else {
			missing += width
		}
	}
	leftover, err := verifyLeftover(args.path, tree.N)
	if err != nil {
		return "", err
	}
	report := fmt.Sprintf("entries=%d entries_pruned=%d bundles=%d tiles=%d leftover=%d cosigned=%d root=%s",
		tree.N, missing, bundles, countTiles(tree.N), leftover, head.signed, tree.Hash)
	if args.old == "" {
		return report, nil
	}
	old, err := verifyContinues(args, tree, reader)
	return fmt.Sprintf("%s continues=%d", report, old), err
}

// verifyBundle verifies the level 0 tile and the bundle of the entries from start to end.
func verifyBundle(path string, start, end, pruned int64, reader tlog.HashReader) (present bool, err error) {
	indexes := make([]int64, 0, width)
	for entry := start; entry < end; entry++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, entry))
	}
	hashes, err := reader.ReadHashes(indexes)
	if err != nil {
		return false, err
	}
	tile := tlog.Tile{H: height, L: -1, N: start / width, W: int(end - start)}
	data, err := os.ReadFile(filepath.Join(path, name(tile)))
	exact := true
	if errors.Is(err, fs.ErrNotExist) && tile.W < width {
		full := tile
		full.W = width
		data, err = os.ReadFile(filepath.Join(path, name(full)))
		exact = false
	}
	if errors.Is(err, fs.ErrNotExist) && end-start == width && end <= pruned {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for at, hash := range hashes {
		entry, rest, ok := cutEntry(data)
		if !ok {
			return false, fmt.Errorf("%s ends inside of entry %d", name(tile), start+int64(at))
		}
		if tlog.RecordHash(entry) != hash {
			return false, fmt.Errorf("entry %d is not the one in the tree", start+int64(at))
		}
		data = rest
	}
	if exact && len(data) > 0 {
		return false, fmt.Errorf("%s has %d bytes too many", name(tile), len(data))
	}
	return true, nil
}

func cutEntry(data []byte) (entry, rest []byte, ok bool) {
	if len(data) < 2 {
		return nil, nil, false
	}
	length := 2 + int(binary.BigEndian.Uint16(data))
	if len(data) < length {
		return nil, nil, false
	}
	return data[2:length], data[length:], true
}

// verifyLeftover compares every partial tile and bundle of a smaller size with what it grew into. What lies beyond the
// checkpoint's size belongs to no log yet and is left alone.
func verifyLeftover(path string, size int64) (count int, err error) {
	err = filepath.WalkDir(filepath.Join(path, "tile"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(path, file)
		if err != nil {
			return err
		}
		slashed := strings.Replace(filepath.ToSlash(relative), "tile/entries/", "tile/data/", 1)
		tile, err := tlog.ParseTilePath(strings.Replace(slashed, "tile/", fmt.Sprintf("tile/%d/", height), 1))
		if err != nil {
			return fmt.Errorf("%s is neither a tile nor a bundle", relative)
		}
		level := tile.L
		if level < 0 {
			level = 0
		}
		has := size>>(height*level) - tile.N*width
		if tile.W == width || has <= int64(tile.W) {
			return nil
		}
		grown := tile
		grown.W = int(lesser(has, width))
		count++
		return isBeginning(path, tile, grown)
	})
	return count, err
}

func isBeginning(path string, tile, grown tlog.Tile) error {
	part, err := os.ReadFile(filepath.Join(path, name(tile)))
	if err != nil {
		return err
	}
	whole, err := os.ReadFile(filepath.Join(path, name(grown)))
	if errors.Is(err, fs.ErrNotExist) && tile.L == -1 {
		return fmt.Errorf("%s is left over from a bundle that is gone", name(tile))
	}
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(whole, part) {
		return fmt.Errorf("%s is not the beginning of %s", name(tile), name(grown))
	}
	length := tile.W * tlog.HashSize
	if tile.L == -1 {
		length = 0
		for i := 0; i < tile.W; i++ {
			entry, _, ok := cutEntry(whole[length:])
			if !ok {
				return fmt.Errorf("%s is cut", name(grown))
			}
			length += 2 + len(entry)
		}
	}
	if len(part) != length {
		return fmt.Errorf("%s has %d bytes instead of %d", name(tile), len(part), length)
	}
	return nil
}

// countTiles is how many tiles of hashes a log of this size has; each was verified by verifyBundle.
func countTiles(size int64) (count int64) {
	for ; size > 0; size >>= height {
		count += (size + width - 1) / width
	}
	return count
}

func lesser(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func verifyContinues(args arguments, tree tlog.Tree, reader tlog.HashReader) (int64, error) {
	text, err := os.ReadFile(args.old)
	if err != nil {
		return 0, err
	}
	old, err := openCheckpoint(text, args.vkey, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", args.old, err)
	}
	switch {
	case old.tree.N > tree.N:
		return 0, fmt.Errorf("the log has %d entries and once had %d", tree.N, old.tree.N)
	case old.tree.N == 0:
		return 0, nil
	case old.tree == tree:
		return tree.N, nil
	}
	proof, err := tlog.ProveTree(tree.N, old.tree.N, reader)
	if err == nil {
		err = tlog.CheckTree(proof, tree.N, tree.Hash, old.tree.N, old.tree.Hash)
	}
	if err != nil {
		return 0, fmt.Errorf("the log does not continue the one of %d entries: %w", old.tree.N, err)
	}
	return old.tree.N, nil
}

// extra is what the proof of an entry carries to compute its leaf and the leaf's commitment from.
type extra struct {
	Leaf string `json:"leaf"`
	Salt []byte `json:"salt"`
	Body []byte `json:"body"`
}

func verifyProof(args arguments) (string, error) {
	data, err := os.ReadFile(args.path)
	if err != nil {
		return "", err
	}
	head, text, ok := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return "", errors.New("not a proof of an entry")
	}
	var entry extra
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil || json.Unmarshal(decoded, &entry) != nil {
		return "", errors.New("the second line is not an extra line of Reeve")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return "", errors.New("the third line is not an index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		proof = append(proof, hash)
	}
	log, err := openCheckpoint([]byte(text), args.vkey, args.witnesses)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(proof, log.tree.N, log.tree.Hash, index, tlog.RecordHash([]byte(entry.Leaf))); err != nil {
		return "", err
	}
	contents, err := verifyContents(entry, index)
	return fmt.Sprintf("entry=%d of=%d contents=%s cosigned=%d", index, log.tree.N, contents, log.signed), err
}

// verifyContents compares the leaf's own number, and its commitment if the contents are there.
func verifyContents(entry extra, index int64) (string, error) {
	var leaf struct {
		Seq    int64  `json:"seq"`
		Commit []byte `json:"commit"`
	}
	if err := json.Unmarshal([]byte(entry.Leaf), &leaf); err != nil {
		return "", err
	}
	if leaf.Seq != index {
		return "", fmt.Errorf("the leaf is that of entry %d", leaf.Seq)
	}
	if entry.Salt == nil && entry.Body == nil {
		return "absent", nil
	}
	sum := sha256.Sum256(append(append([]byte{}, entry.Salt...), entry.Body...))
	if len(entry.Salt) != sha256.Size || !bytes.Equal(sum[:], leaf.Commit) {
		return "", errors.New("the contents are not those that the leaf commits to")
	}
	return fmt.Sprintf("%d bytes", len(entry.Body)), nil
}
