"""Parts of `dpsynth.text.dpsgd`: records as rows of token ids, language models as networks, the fitted author."""
