//! What a `modelId` says: which model, through which kind of profile, and so which quota it draws on.

use alloc::string::{String, ToString};

/// What kind of thing a `modelId` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelForm {
    /// A foundation model by its base id or ARN, served in the Region that is called.
    Foundation,
    /// A system-defined inference profile: a geography's prefix before a base id (or the ARN of one).
    Profile,
    /// An application inference profile. Its ARN does not say which model or profile it wraps.
    ApplicationProfile,
    /// Provisioned Throughput. Its ARN does not say which model it serves.
    Provisioned,
    /// Anything else: an imported or custom model, a prompt router, a prompt, another service's endpoint.
    Other,
}

/// Which of an account's quotas in the called Region a `modelId` draws on.
///
/// Source: the quota names of `awslabs/bedrock-usage-analyzer` (`metadata/quota-index.csv`, commit 4ba0308) and
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/global-cross-region-inference.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaScope {
    /// `On-demand model inference ... for <model>`.
    InRegion,
    /// `Cross-region model inference ... for <model>`: one quota per source Region, whatever the geography.
    Geographic,
    /// `Global cross-region model inference ... for <model>`: a pool of its own.
    Global,
    /// The model units bought.
    Provisioned,
    /// The id does not say. An application inference profile is assumed to draw on the pool of what it wraps; the
    /// policy has to name that pool.
    Unknown,
}

/// A `modelId`, taken apart. Made by [`Catalogue::model`](crate::Catalogue::model), which knows the prefixes.
///
/// Every text is a `modelId`: what cannot be taken apart has the form [`ModelForm::Other`] and no family.
///
/// ```
/// use sluicegate_bedrock::{Catalogue, ModelForm, QuotaScope};
///
/// let catalogue = Catalogue::builtin();
/// let model = catalogue.model("eu.anthropic.claude-sonnet-4-5-20250929-v1:0");
/// assert_eq!(model.form(), ModelForm::Profile);
/// assert_eq!(model.prefix(), Some("eu"));
/// assert_eq!(model.base(), Some("anthropic.claude-sonnet-4-5-20250929-v1:0"));
/// assert_eq!(model.family(), Some("anthropic.claude-sonnet-4-5"));
/// assert_eq!(model.provider(), Some("anthropic"));
/// assert_eq!(model.quota_scope(), QuotaScope::Geographic);
/// assert!(model.is_claude());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BedrockModel {
    id: String,
    form: ModelForm,
    prefix: Option<String>,
    base: Option<String>,
    family: Option<String>,
    region: Option<String>,
}

impl BedrockModel {
    /// Takes `id` apart. `is_prefix` knows the geographies' prefixes and `is_provider` the first parts of base ids.
    pub(crate) fn parse(id: &str, is_prefix: impl Fn(&str) -> bool, is_provider: impl Fn(&str) -> bool) -> Self {
        let (form, name) = match resource_of_arn(id) {
            None if id.starts_with("arn:") => (ModelForm::Other, None),
            None => (ModelForm::Foundation, Some(id)),
            Some((resource, name)) => match resource {
                "foundation-model" => (ModelForm::Foundation, Some(name)),
                "inference-profile" => (ModelForm::Profile, Some(name)),
                "application-inference-profile" => (ModelForm::ApplicationProfile, None),
                "provisioned-model" => (ModelForm::Provisioned, None),
                _ => (ModelForm::Other, None),
            },
        };
        let (prefix, base) = match name {
            None => (None, None),
            Some(name) => split_prefix(name, is_prefix, is_provider),
        };
        let form = match form {
            ModelForm::Foundation if prefix.is_some() => ModelForm::Profile,
            ModelForm::Foundation if base.is_none_or(|base| !base.contains('.')) => ModelForm::Other,
            other => other,
        };
        let base = base.filter(|base| base.contains('.'));
        Self {
            id: id.to_string(),
            form,
            prefix: prefix.map(ToString::to_string),
            base: base.map(ToString::to_string),
            family: base.map(|base| family(base).to_string()),
            region: region_of_arn(id).map(ToString::to_string),
        }
    }

    /// The id as it was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What kind of thing the id names.
    #[must_use]
    pub fn form(&self) -> ModelForm {
        self.form
    }

    /// The geography's prefix without its dot (`us`, `global`), for a system-defined profile. A prefix that the
    /// catalogue does not know is still a prefix where a known provider follows it.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// The base id, without prefix and ARN; `None` where the id does not tell.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The base id without its date, revision and context size: what the tables are looked up by.
    #[must_use]
    pub fn family(&self) -> Option<&str> {
        self.family.as_deref()
    }

    /// The first part of the base id, such as `anthropic`.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.base().and_then(|base| base.split('.').next())
    }

    /// The Region of an ARN; `None` for a plain id.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Whether the id names a Claude model.
    #[must_use]
    pub fn is_claude(&self) -> bool {
        self.family().is_some_and(|family| family.starts_with("anthropic.claude"))
    }

    /// Major and minor version of a Claude model, where its id has them: `(4, 8)` for `claude-opus-4-8`.
    #[must_use]
    pub fn claude_version(&self) -> Option<(u16, u16)> {
        let name = self.family()?.strip_prefix("anthropic.claude-")?;
        let mut parts = name.split('-').skip_while(|part| part.parse::<u16>().is_err());
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some((major, minor))
    }

    /// Which quota calls with this id draw on.
    #[must_use]
    pub fn quota_scope(&self) -> QuotaScope {
        match self.form {
            ModelForm::Foundation => QuotaScope::InRegion,
            ModelForm::Profile if self.prefix() == Some("global") => QuotaScope::Global,
            ModelForm::Profile => QuotaScope::Geographic,
            ModelForm::Provisioned => QuotaScope::Provisioned,
            ModelForm::ApplicationProfile | ModelForm::Other => QuotaScope::Unknown,
        }
    }
}

/// The Region in an ARN; `None` for anything that is not an ARN or names no Region.
///
/// ```
/// use sluicegate_bedrock::region_of_arn;
///
/// let arn = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.amazon.nova-lite-v1:0";
/// assert_eq!(region_of_arn(arn), Some("eu-west-1"));
/// assert_eq!(region_of_arn("amazon.nova-lite-v1:0"), None);
/// ```
#[must_use]
pub fn region_of_arn(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:")?;
    rest.split(':').nth(2).filter(|region| !region.is_empty())
}

/// Kind and name of the resource in a Bedrock ARN.
fn resource_of_arn(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.strip_prefix("arn:")?.splitn(5, ':');
    let (_partition, service) = (parts.next()?, parts.next()?);
    if service != "bedrock" {
        return None;
    }
    let (_region, _account) = (parts.next()?, parts.next()?);
    parts.next()?.split_once('/').filter(|(_, name)| !name.is_empty())
}

fn split_prefix(
    name: &str,
    is_prefix: impl Fn(&str) -> bool,
    is_provider: impl Fn(&str) -> bool,
) -> (Option<&str>, Option<&str>) {
    let Some((first, rest)) = name.split_once('.') else { return (None, Some(name)) };
    let next = rest.split('.').next().unwrap_or(rest);
    // An unknown prefix is told from an unknown provider by a known provider after it.
    let prefixed = is_prefix(first) || (!is_provider(first) && is_provider(next));
    if prefixed && rest.contains('.') { (Some(first), Some(rest)) } else { (None, Some(name)) }
}

/// Cuts the context size (`:0`, `:200k`), the revision (`-v1`) and the date (`-20250929`) off a base id.
fn family(base: &str) -> &str {
    let name = base.split(':').next().unwrap_or(base);
    let name = cut_last(name, |part| {
        part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    });
    cut_last(name, |part| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn cut_last(name: &str, drop: impl Fn(&str) -> bool) -> &str {
    match name.rsplit_once('-') {
        Some((rest, last)) if drop(last) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelForm, QuotaScope, region_of_arn};
    use crate::Catalogue;

    #[test]
    fn ids_come_apart() {
        let catalogue = Catalogue::builtin();
        // id, form, prefix, family, scope
        let cases = [
            ("anthropic.claude-opus-4-8", ModelForm::Foundation, None, Some("anthropic.claude-opus-4-8")),
            ("us.anthropic.claude-opus-4-6-v1", ModelForm::Profile, Some("us"), Some("anthropic.claude-opus-4-6")),
            ("global.anthropic.claude-sonnet-5", ModelForm::Profile, Some("global"), Some("anthropic.claude-sonnet-5")),
            (
                "anthropic.claude-3-5-sonnet-20241022-v2:0",
                ModelForm::Foundation,
                None,
                Some("anthropic.claude-3-5-sonnet"),
            ),
            ("anthropic.claude-v2:1", ModelForm::Foundation, None, Some("anthropic.claude")),
            (
                "anthropic.claude-3-sonnet-20240229-v1:0:200k",
                ModelForm::Foundation,
                None,
                Some("anthropic.claude-3-sonnet"),
            ),
            ("us.openai.gpt-5.6-sol", ModelForm::Profile, Some("us"), Some("openai.gpt-5.6-sol")),
            ("openai.gpt-5.6-sol", ModelForm::Foundation, None, Some("openai.gpt-5.6-sol")),
            ("deepseek.v3.2", ModelForm::Foundation, None, Some("deepseek.v3.2")),
            ("us-gov.amazon.nova-pro-v1:0", ModelForm::Profile, Some("us-gov"), Some("amazon.nova-pro")),
            ("kr.anthropic.claude-sonnet-5", ModelForm::Profile, Some("kr"), Some("anthropic.claude-sonnet-5")),
            ("newlab.model-v1:0", ModelForm::Foundation, None, Some("newlab.model")),
            ("my-endpoint", ModelForm::Other, None, None),
            ("", ModelForm::Other, None, None),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
                ModelForm::Foundation,
                None,
                Some("amazon.nova-pro"),
            ),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0",
                ModelForm::Profile,
                Some("us"),
                Some("amazon.nova-pro"),
            ),
            (
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abcdefghijkl",
                ModelForm::ApplicationProfile,
                None,
                None,
            ),
            ("arn:aws:bedrock:us-east-1:1:provisioned-model/abcdefghijkl", ModelForm::Provisioned, None, None),
            ("arn:aws:bedrock:us-east-1:1:imported-model/abcdefghijkl", ModelForm::Other, None, None),
            ("arn:aws:sagemaker:us-east-1:1:endpoint/mine", ModelForm::Other, None, None),
        ];
        for (id, form, prefix, family) in cases {
            let model = catalogue.model(id);
            assert_eq!((model.form(), model.prefix(), model.family()), (form, prefix, family), "{id}");
            assert_eq!(model.id(), id);
        }
    }

    #[test]
    fn the_prefix_decides_the_pool() {
        let catalogue = Catalogue::builtin();
        for (id, scope) in [
            ("anthropic.claude-sonnet-4-6", QuotaScope::InRegion),
            ("us.anthropic.claude-sonnet-4-6", QuotaScope::Geographic),
            ("eu.anthropic.claude-sonnet-4-6", QuotaScope::Geographic),
            ("apac.anthropic.claude-sonnet-4-6", QuotaScope::Geographic),
            ("jp.anthropic.claude-sonnet-4-6", QuotaScope::Geographic),
            ("au.anthropic.claude-sonnet-4-6", QuotaScope::Geographic),
            ("ca.amazon.nova-lite-v1:0", QuotaScope::Geographic),
            ("global.anthropic.claude-sonnet-4-6", QuotaScope::Global),
            ("arn:aws:bedrock:us-east-1:1:provisioned-model/abc", QuotaScope::Provisioned),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", QuotaScope::Unknown),
        ] {
            assert_eq!(catalogue.model(id).quota_scope(), scope, "{id}");
        }
    }

    #[test]
    fn claude_versions() {
        let catalogue = Catalogue::builtin();
        for (id, version) in [
            ("anthropic.claude-opus-4-8", Some((4, 8))),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-3-5-haiku-20241022-v1:0", Some((3, 5))),
            ("anthropic.claude-fable-5-1", Some((5, 1))),
            ("anthropic.claude-instant-v1", None),
            ("anthropic.claude-mythos-preview", None),
            ("amazon.nova-pro-v1:0", None),
        ] {
            assert_eq!(catalogue.model(id).claude_version(), version, "{id}");
        }
    }

    #[test]
    fn regions_of_arns() {
        assert_eq!(region_of_arn("arn:aws:bedrock:us-east-1::foundation-model/x.y"), Some("us-east-1"));
        assert_eq!(region_of_arn("arn:aws:bedrock:::x"), None);
        assert_eq!(region_of_arn("arn:"), None);
        assert_eq!(region_of_arn("us.x.y"), None);
    }
}
