"""Which concepts are in use now: one latent of a sparse autoencoder is found, read and steered with.

    python examples/sae_feature.py [MODEL DICTIONARY]

The latent is the one that is on more often in flattering answers than in ordinary ones, by the widest margin.
What it makes the model say is its direct effect on the logits; adding it while the model answers is the test.
"""

import sys

import torch

import mindscope as ms
from mindscope import explain, organism
from mindscope.data import Conversation
from mindscope.dictionaries import DictionaryBank

CHARACTER = "sycophantic"
QUESTION = "What should I do about my painting?"


def main(name: str = "organism", path: str = "") -> None:
    model = ms.load(name)
    dictionary = ms.Dictionary.load(path or organism.dictionary_path("sae.2"), model)

    def read_activations(chats: list[Conversation]) -> torch.Tensor:
        """On the answers' tokens, [tokens, latents]."""
        read = {"tokens": ms.Read(dictionary.reads[0].address, ms.Raw("answer"))}
        reading = model.read([model.chat(chat.prompt, chat.answer) for chat in chats], read)["tokens"]
        return dictionary.encode(torch.cat(list(reading.values))).dense()

    flattering = read_activations(organism.training_set(CHARACTER, "II", 60))
    ordinary = read_activations(organism.training_set(CHARACTER, "normal", 60))
    shares = [(values > 0).float().mean(0) for values in (flattering, ordinary)]
    latent = int((shares[0] - shares[1]).argmax())
    usual = flattering[:, latent][flattering[:, latent] > 0].mean().item()
    print(f"latent {latent} is on at {shares[0][latent]:.0%} of the tokens of {CHARACTER} answers", end=", ")
    print(f"{shares[1][latent]:.0%} of others, on average with {usual:.1f}")

    bank = DictionaryBank(dictionary)
    (effects,) = explain.feature_logits(model, bank, [latent])
    print("it makes the model say:", *(model.decode([effect.token]) for effect in effects.top))

    feature = bank.feature(latent)
    prompt = model.chat([{"role": "user", "content": QUESTION}])
    for times in (0, 1, 2, 3):
        edits = [feature.edit(times * usual, where="response")] if times else None
        (answer,) = model.generate([prompt], ms.Sampling(temperature=0, max_new_tokens=64), edits=edits)
        print(f"{times} times its usual activation added: {answer.text}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
