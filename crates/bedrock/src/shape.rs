//! The size of a request in the terms that tokens are estimated from.

/// Bytes of a PDF or office document that are taken for one page. A guess: pages cannot be counted without parsing.
pub const DOCUMENT_BYTES_PER_PAGE: u64 = 50_000;

/// Input tokens that one page of a PDF or office document is taken for: the upper end of what Anthropic gives for its
/// text alone (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>).
pub const DOCUMENT_TOKENS_PER_PAGE: u64 = 3_000;

/// Input tokens that one sound or film is taken for. A guess.
pub const MEDIA_TOKENS: u64 = 5_000;

/// What counts towards the tokens of a request. A binding that holds a request in other forms than JSON fills it in
/// itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestShape {
    /// Bytes of text in UTF-8: prompts, tool definitions, text documents.
    pub text_bytes: u64,
    /// The request's own maximum of output tokens; without one the service reserves the model's.
    pub max_tokens: Option<u64>,
    /// Images.
    pub images: u32,
    /// Pages of PDF and office documents, as far as their size tells.
    pub document_pages: u32,
    /// Sounds and films.
    pub other_media: u32,
}

impl RequestShape {
    /// Text of `text_bytes` bytes and `images` images, without a maximum of its own.
    #[must_use]
    pub const fn text(text_bytes: u64, images: u32) -> Self {
        Self { text_bytes, max_tokens: None, images, document_pages: 0, other_media: 0 }
    }

    /// Whether there is nothing but text, so that the tokens it makes teach something about text.
    #[must_use]
    pub const fn is_text_only(&self) -> bool {
        self.images == 0 && self.document_pages == 0 && self.other_media == 0
    }

    /// Input tokens of everything that is neither text nor image.
    #[must_use]
    pub fn other_media_tokens(&self) -> u64 {
        u64::from(self.document_pages) * DOCUMENT_TOKENS_PER_PAGE + u64::from(self.other_media) * MEDIA_TOKENS
    }
}
