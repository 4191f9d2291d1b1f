import { describe, expect, test } from "vitest";
import { open, seal } from "#vault/seal.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

/** McGrew and Viega's cases 13 to 16, and one of NIST's gcmEncryptExtIV256. */
const VECTORS = [
  {
    name: "nothing at all",
    key: "00".repeat(32),
    iv: "00".repeat(12),
    plaintext: "",
    aad: "",
    ciphertext: "",
    tag: "530f8afbc74536b9a963b4f1c4cb738b",
  },
  {
    name: "one block of zeros",
    key: "00".repeat(32),
    iv: "00".repeat(12),
    plaintext: "00".repeat(16),
    aad: "",
    ciphertext: "cea7403d4d606b6e074ec5d3baf39d18",
    tag: "d0d1c8a799996bf0265b98b5d48ab919",
  },
  {
    name: "four blocks",
    key: "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308",
    iv: "cafebabefacedbaddecaf888",
    plaintext:
      "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72 1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b391aafd255",
    aad: "",
    ciphertext:
      "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa 8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662898015ad",
    tag: "b094dac5d93471bdec1a502270e3cc6c",
  },
  {
    name: "a part of a block, with associated data",
    key: "feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308",
    iv: "cafebabefacedbaddecaf888",
    plaintext:
      "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72 1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39",
    aad: "feedfacedeadbeeffeedfacedeadbeef abaddad2",
    ciphertext:
      "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa 8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662",
    tag: "76fc6ece0f4e1768cddf8853bb2d551b",
  },
  {
    name: "only a tag",
    key: "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
    iv: "516c33929df5a3284ff463d7",
    plaintext: "",
    aad: "",
    ciphertext: "",
    tag: "bdc1ac884d332457a1d2664f168c76f0",
  },
];

describe("AES-256-GCM as the standard has it", () => {
  test.each(VECTORS)("$name", (vector) => {
    const [key, iv, aad, plaintext] = [vector.key, vector.iv, vector.aad, vector.plaintext].map(
      hex,
    ) as [Buffer, Buffer, Buffer, Buffer];
    const sealed = seal({ key, iv, aad, plaintext });
    expect(Buffer.from(sealed.ciphertext)).toEqual(hex(vector.ciphertext));
    expect(Buffer.from(sealed.tag)).toEqual(hex(vector.tag));
    expect(open({ key, aad, sealed })).toEqual(plaintext);
  });
});

test("a tag that was cut short, an IV or a key of another length opens nothing", () => {
  const key = Buffer.alloc(32, 7);
  const aad = Buffer.from("place");
  const sealed = seal({ key, iv: Buffer.alloc(12), aad, plaintext: Buffer.from("value") });
  for (const bytes of [0, 4, 8, 12, 15]) {
    expect(
      open({ key, aad, sealed: { ...sealed, tag: sealed.tag.subarray(0, bytes) } }),
    ).toBeUndefined();
  }
  expect(open({ key, aad, sealed: { ...sealed, iv: Buffer.alloc(16) } })).toBeUndefined();
  expect(open({ key: Buffer.alloc(16), aad, sealed })).toBeUndefined();
  expect(open({ key, aad: Buffer.from("elsewhere"), sealed })).toBeUndefined();
  expect(open({ key, aad, sealed })).toEqual(Buffer.from("value"));
});
